import { onTestFinished } from 'vitest';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { TensorThreads } from '../../src/inference/foreign/tensor-threads.ts';
import { OipModelServer } from '../../src/inference/pool/oip-model-server.ts';
import { RemoteWorker, type RemoteWorkerOptions } from '../../src/inference/pool/remote-worker.ts';
import { createLogger, type Logger } from '../../src/lib/logger.ts';

/** A remote worker whose server is looked at often; closed after the test. */
export function connectTo(
  baseUrl: string,
  options: Partial<RemoteWorkerOptions> & { logger?: Logger; token?: string; artifacts?: string } = {},
): RemoteWorker {
  const { logger = createLogger('silent'), token = null, artifacts = '/nonexistent', ...rest } = options;
  const threads = tensorThreads();
  const store = new ArtifactStore(artifacts);
  const server = new OipModelServer(
    { baseUrl, token },
    {
      ...{ artifacts: store, threads, logger: logger.child({ worker: baseUrl }) },
    },
  );
  const settings = { name: baseUrl, server, pollMs: 20, loadTimeoutMs: async () => 60_000 };
  const worker = new RemoteWorker({ ...settings, ...rest }, logger);
  onTestFinished(() => worker.close());
  return worker;
}

/** Closed after the test. */
export function tensorThreads(): TensorThreads {
  const threads = new TensorThreads(createLogger('silent'));
  onTestFinished(() => threads.close());
  return threads;
}
