import { availableParallelism } from 'node:os';

/**
 * Bounds the decodes in flight, first come first served. They run in libuv's pool of four threads, which password hashing
 * and the file system share, and each may hold a hundred megabytes of pixels: more at once than there are cores gains
 * nothing and starves the rest.
 */
export class DecodeGate {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limit = availableParallelism()) {
    this.#limit = limit;
  }

  /** Runs `work` when its turn comes. An aborted waiter leaves the queue and rejects with the signal's reason. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#running < this.#limit) {
      this.#running++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const admit = () => {
        signal?.removeEventListener('abort', abandon);
        resolve();
      };
      const abandon = () => {
        this.#waiting.delete(admit);
        reject(signal?.reason);
      };
      this.#waiting.add(admit);
      signal?.addEventListener('abort', abandon, { once: true });
    });
  }

  /** Hands the place to the next waiter without freeing it in between, so that nobody overtakes the queue. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
