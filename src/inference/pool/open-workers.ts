import type { Logger } from '../../lib/logger.ts';
import { parseWorkerAddress } from '../../lib/worker-address.ts';
import { OipModelServer } from './oip-model-server.ts';
import type { WorkerPool } from './pool.ts';
import { RemoteWorker } from './remote-worker.ts';

export interface OpenWorkersOptions {
  readonly logger: Logger;
}

/** Puts the workers that an entry of `FOVEA_WORKERS` stands for into the pool. */
export function openWorkers(pool: WorkerPool, entry: string, { logger }: OpenWorkersOptions): void {
  const address = parseWorkerAddress(entry);
  if (!address) throw new Error(`'${entry}' is no worker's address`);
  const { url } = address;
  const server = new OipModelServer({ baseUrl: url });
  pool.add(new RemoteWorker({ name: url, server, wanted: () => pool.wanted }, logger));
}
