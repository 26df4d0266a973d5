import { WorkerLostError } from '../oip/errors.ts';

/** Something that happens time and again, to be told of or to be waited for. */
export class Arrivals {
  readonly #listeners = new Set<() => void>();
  #next = Promise.withResolvers<void>();
  #closed = false;

  constructor() {
    this.#next.promise.catch(() => undefined); // Nobody may be waiting when it is closed.
  }

  listen(listener: () => void): void {
    this.#listeners.add(listener);
  }

  arrived(): void {
    if (this.#closed) return;
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers<void>();
    this.#next.promise.catch(() => undefined); // As above.
    resolve();
    for (const listener of this.#listeners) listener();
  }

  /** Settles the next time it happens. Throws WorkerLostError once nothing comes any more. */
  next(): Promise<void> {
    return this.#next.promise;
  }

  close(): void {
    this.#closed = true;
    this.#next.reject(new WorkerLostError('the workers were closed'));
  }
}
