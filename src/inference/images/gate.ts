interface Waiter {
  readonly weight: number;
  readonly admit: () => void;
}

export interface GateOptions {
  /** Of the capacity; what is heavier than all of it enters alone. */
  readonly weight?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Bounds what runs at once by weight, strictly first come first served: a heavy waiter holds up the light ones behind it, or
 * it would wait for ever.
 */
export class Gate {
  readonly #capacity: number;
  readonly #waiting = new Set<Waiter>();
  #free: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#free = capacity;
  }

  /** Nothing runs and nothing waits. */
  get isIdle(): boolean {
    return this.#free === this.#capacity && this.#waiting.size === 0;
  }

  /** Runs `work` when its turn comes. An aborted waiter leaves the queue and rejects with the signal's reason. */
  async run<T>(work: () => Promise<T>, options: GateOptions = {}): Promise<T> {
    const weight = Math.min(options.weight ?? 1, this.#capacity);
    await this.#enter(weight, options.signal);
    try {
      return await work();
    } finally {
      this.#free += weight;
      this.#admit();
    }
  }

  async #enter(weight: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { weight, admit: resolve };
    const abandon = () => {
      // Once it was admitted this is too late, and its work is told by the signal itself.
      if (!this.#waiting.delete(waiter)) return;
      reject(signal?.reason);
      this.#admit();
    };
    this.#waiting.add(waiter);
    signal?.addEventListener('abort', abandon, { once: true });
    this.#admit();
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', abandon);
    }
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (waiter.weight > this.#free) return;
      this.#waiting.delete(waiter);
      this.#free -= waiter.weight;
      waiter.admit();
    }
  }
}
