import { onTestFinished } from 'vitest';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { OipModelServer } from '../../src/inference/pool/oip-model-server.ts';
import { RemoteWorker, type RemoteWorkerOptions } from '../../src/inference/pool/remote-worker.ts';
import { createLogger, type Logger } from '../../src/lib/logger.ts';

/** A remote worker whose server is looked at often; closed after the test. */
export function connectTo(
  baseUrl: string,
  options: Partial<RemoteWorkerOptions> & { logger?: Logger; token?: string; artifacts?: string } = {},
): RemoteWorker {
  const { logger = createLogger('silent'), token = null, artifacts = '/nonexistent', ...rest } = options;
  const server = new OipModelServer(
    { baseUrl, token },
    new ArtifactStore(artifacts),
    logger.child({ worker: baseUrl }),
  );
  const worker = new RemoteWorker({ name: baseUrl, server, pollMs: 20, ...rest }, logger);
  onTestFinished(() => worker.close());
  return worker;
}
