import { isIPv6 } from 'node:net';
import type { Logger } from '../../lib/logger.ts';
import { parseWorkerAddress, type WorkerAddress } from '../../lib/worker-address.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import type { TensorThreads } from '../foreign/tensor-threads.ts';
import { GrpcServingClient } from '../foreign/tensorflow-serving/grpc-client.ts';
import { RestServingClient } from '../foreign/tensorflow-serving/rest-client.ts';
import { ServingModelServer } from '../foreign/tensorflow-serving/serving-model-server.ts';
import type { RemoteTarget } from '../oip/http.ts';
import type { Variant } from '../variant.ts';
import { DnsWorkers, type Resolve } from './dns-workers.ts';
import { loadTimeoutMs } from './load-timeout.ts';
import type { ModelServer } from './model-server.ts';
import { OipModelServer } from './oip-model-server.ts';
import type { WorkerPool } from './pool.ts';
import { RemoteWorker } from './remote-worker.ts';

export interface OpenWorkersOptions {
  readonly logger: Logger;
  /** What workers ask of their callers; null: nothing. */
  readonly token: string | null;
  /** Where what a worker lacks is taken from. */
  readonly artifacts: ArtifactStore;
  readonly threads: TensorThreads;
  /** In the system's place. */
  readonly resolve?: Resolve | undefined;
}

/** Puts the workers that an entry of `FOVEA_WORKERS` stands for into the pool. */
export function openWorkers(pool: WorkerPool, entry: string, options: OpenWorkersOptions): void {
  const { logger, resolve } = options;
  const found = parseWorkerAddress(entry);
  if (!found) throw new Error(`'${entry}' is no worker's address`);
  const { protocol, url: baseUrl, everyAddress } = found;
  const open = (target: RemoteTarget, name: string) => {
    const server = serverAt(protocol, target, { ...options, logger: logger.child({ worker: name }) });
    const timeoutMs = (variant: Variant) => loadTimeoutMs(variant, null, options.artifacts);
    return new RemoteWorker({ name, server, host: pool, loadTimeoutMs: timeoutMs }, logger);
  };
  if (everyAddress) {
    // An address may stand there as well, in brackets where it is of IPv6.
    const name = new URL(baseUrl).hostname.replace(/^\[|\]$/g, '');
    // The same address may be an entry of its own, and is another worker then.
    const openAt = (address: string) => open({ baseUrl, address }, `${urlAt(baseUrl, address)} of ${name}`);
    pool.follow(new DnsWorkers(pool, { name, resolve, open: openAt }, logger));
  } else pool.add(open({ baseUrl }, baseUrl));
}

function serverAt(
  protocol: WorkerAddress['protocol'],
  target: RemoteTarget,
  { token, artifacts, threads, logger }: OpenWorkersOptions,
): ModelServer {
  switch (protocol) {
    case 'oip':
      return new OipModelServer({ ...target, token }, { artifacts, threads, logger });
    case 'tfserving-grpc':
      return new ServingModelServer(new GrpcServingClient(target, threads), threads);
    case 'tfserving-rest':
      return new ServingModelServer(new RestServingClient(target, threads), threads);
  }
}

function urlAt(baseUrl: string, address: string): string {
  const { protocol, port } = new URL(baseUrl);
  return `${protocol}//${isIPv6(address) ? `[${address}]` : address}${port === '' ? '' : `:${port}`}`;
}
