import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../lib/logger.ts';
import type { WorkerPool } from './pool.ts';
import type { InferenceWorker } from './worker.ts';

/** Every address that a name has at present, of both families. Throws where it cannot be told. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface DnsWorkersOptions {
  readonly name: string;
  readonly resolve?: Resolve | undefined;
  /** Between two looks at what the name resolves to. 5 s. */
  readonly everyMs?: number | undefined;
  /** The worker at one of them. */
  readonly open: (address: string) => InferenceWorker;
}

/** Keeps a worker in the pool for each address that a name has: they come and go with it. */
export class DnsWorkers {
  readonly #pool: WorkerPool;
  readonly #options: DnsWorkersOptions;
  readonly #logger: Logger;
  readonly #byAddress = new Map<string, InferenceWorker>();
  readonly #closing = new AbortController();
  /** The last look failed: that is told once. */
  #isBlind = false;

  constructor(pool: WorkerPool, options: DnsWorkersOptions, logger: Logger) {
    this.#pool = pool;
    this.#options = options;
    this.#logger = logger;
    void this.#watchName();
  }

  /** Follows the name no more. The workers are the pool's. */
  close(): void {
    this.#closing.abort();
  }

  async #watchName(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const addresses = await this.#resolve();
      if (addresses !== null && !signal.aborted) this.#follow(addresses);
      await sleep(this.#options.everyMs ?? 5_000, undefined, { signal }).catch(() => undefined); // Aborted: the loop's condition sees it.
    }
  }

  /** null: nobody knows. A resolver that is down must not take the workers down with it, so an empty answer is none. */
  async #resolve(): Promise<ReadonlySet<string> | null> {
    const { name, resolve = lookUp } = this.#options;
    try {
      const addresses = new Set(await resolve(name));
      if (addresses.size === 0) throw new Error('it has no address');
      this.#isBlind = false;
      return addresses;
    } catch (error) {
      if (!this.#isBlind) {
        const reason = (error as Error).message;
        this.#logger.warn({ name, reason }, "a workers' name cannot be resolved: those that are known stay");
      }
      this.#isBlind = true;
      return null;
    }
  }

  #follow(addresses: ReadonlySet<string>): void {
    const { name, open } = this.#options;
    for (const [address, worker] of this.#byAddress) {
      if (addresses.has(address)) continue;
      this.#byAddress.delete(address);
      this.#logger.info({ name, worker: worker.name }, 'a worker has left its name');
      void this.#pool.remove(worker);
    }
    for (const address of addresses) {
      if (this.#byAddress.has(address)) continue;
      const worker = open(address);
      this.#byAddress.set(address, worker);
      this.#logger.info({ name, worker: worker.name }, 'a worker has come to its name');
      this.#pool.add(worker);
    }
  }
}

async function lookUp(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
