import { readEnvironment } from '../../src/config/environment.ts';
import { type Context, createContext, type Listening, type Surroundings } from '../../src/context.ts';
import { Lifetime } from '../../src/lib/lifetime.ts';
import { createLogger } from '../../src/lib/logger.ts';

/** Where a server keeps what it knows. */
export interface Installation {
  readonly databaseUrl: string;
  readonly dataDir: string;
}

export interface OpenServer extends Listening {
  readonly context: Context;
  /** Throws where it does not end in order. */
  close(): Promise<void>;
}

/**
 * The real server on an installation: a real worker, on a free port. Beside another one on the same, it has to be closed before the
 * one whose installation it is.
 */
export async function openServer(
  { databaseUrl, dataDir }: Installation,
  environment: Record<string, string> = {},
  overrides: Partial<Surroundings> = {},
): Promise<OpenServer> {
  const logger = overrides.logger ?? createLogger(process.env.FOVEA_LOG_LEVEL ?? 'fatal');
  const { config, secrets } = readEnvironment({
    PORT: '0',
    FOVEA_DATA_DIR: dataDir,
    // One worker, which a test can single out.
    FOVEA_WORKERS_PER_DEVICE: '1',
    FOVEA_WORKER_THREADS: '1',
    DATABASE_URL: databaseUrl,
    // Most tests count what is run, and send one picture again and again.
    FOVEA_CACHE_BYTES: '0',
    ...environment,
  });
  const lifetime = new Lifetime(logger);
  try {
    // Tests stop workers for as long as they like.
    const surroundings = { hangMs: 600_000, ...overrides, logger, lifetime };
    const context = await createContext(config, secrets, surroundings);
    const { url, created } = await context.listen();
    const close = async () => {
      if (!(await lifetime.close())) throw new Error('the server did not end in order: its log says why');
    };
    return { url, created, context, close };
  } catch (error) {
    await lifetime.close();
    throw error;
  }
}
