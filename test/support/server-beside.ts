import { readEnvironment } from '../../src/config/environment.ts';
import { type Context, createContext } from '../../src/context.ts';
import { Lifetime } from '../../src/lib/lifetime.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { TestServer } from './server.ts';

/** Another API server on the same database and data directory; it has to be closed before the first. */
export async function startBeside(
  { databaseUrl, dataDir }: TestServer,
  environment: Record<string, string> = {},
): Promise<{ readonly url: string; readonly context: Context; close(): Promise<void> }> {
  const logger = createLogger(process.env.FOVEA_LOG_LEVEL ?? 'fatal');
  const lifetime = new Lifetime(logger);
  const { config, secrets } = readEnvironment({
    PORT: '0',
    FOVEA_DATA_DIR: dataDir,
    // One worker, which a test can single out.
    FOVEA_WORKERS_PER_DEVICE: '1',
    FOVEA_WORKER_THREADS: '1',
    DATABASE_URL: databaseUrl,
    FOVEA_CACHE_BYTES: '0',
    ...environment,
  });
  const context = await createContext(config, secrets, { logger, lifetime });
  const { url } = await context.listen();
  return { url, context, close: async () => void (await lifetime.close()) };
}
