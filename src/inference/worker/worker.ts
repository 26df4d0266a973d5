import type { Logger } from '../../lib/logger.ts';
import { MAX_BODY_BYTES } from '../oip/limits.ts';
import { engines } from './engines/index.ts';
import { listen } from './listen.ts';
import { WorkerModels } from './models.ts';
import { createWorkerServer, type ServerState } from './server.ts';

export interface WorkerOptions {
  /** `unix:<path>` or `<host>:<port>`. There is no authentication: the place must be reachable by API processes alone. */
  readonly listen: string;
  /** The artefact store's folder; only read. */
  readonly artifacts: string;
  /** Threads one inference computes with. */
  readonly threads: number;
  /** Bytes of one request; 64 MiB. */
  readonly maxBodyBytes?: number;
}

export interface RunningWorker {
  /** `unix:<path>` or `http://<host>:<port>`. */
  readonly address: string;
  /** Takes no more requests, answers those it has, frees the models. */
  close(): Promise<void>;
}

/** Starts a worker that holds no model yet. Throws OperatorError where it cannot listen. */
export async function runWorker(options: WorkerOptions, logger: Logger): Promise<RunningWorker> {
  const models = new WorkerModels(options.artifacts, engines(options.threads), logger);
  const state: ServerState = { draining: false };
  const limits = { maxBodyBytes: options.maxBodyBytes ?? MAX_BODY_BYTES };
  const server = createWorkerServer(models, state, limits, logger);
  const address = await listen(server, options.listen);
  let closed: Promise<void> | undefined;
  const close = async () => {
    state.draining = true;
    await new Promise((resolve) => server.close(resolve));
    await models.close();
  };
  return {
    address,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
