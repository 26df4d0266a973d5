/** Who waits, and until when. */
export interface Turn {
  /** Whose turn it uses up: owners share what there is, each in its own order. Those without a name are one owner. */
  readonly owner?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WeightedTurn extends Turn {
  /** Of the capacity, above 0; what is heavier than all of it enters alone. */
  readonly weight?: number;
}

interface Waiter {
  readonly weight: number;
  readonly admit: () => void;
}

interface Queue {
  readonly waiting: Set<Waiter>;
  /** What its owner was let in with so far, on the gate's clock: the least is the next. */
  served: number;
}

/**
 * Bounds what runs at once by weight, and divides it fairly: of those who wait, the owner that was let in with least is next,
 * so that whoever sends a thousand waits behind itself and not before everyone else. Whoever is next and too heavy holds up
 * all others, or it would wait for ever.
 */
export class Gate {
  readonly #capacity: number;
  readonly #queues = new Map<string | undefined, Queue>();
  #free: number;

  /** Where the last one let in began. Who comes anew begins here: not having come earlier is no credit. */
  #clock = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#free = capacity;
  }

  /** Nothing runs and nothing waits. */
  get isIdle(): boolean {
    return this.#free === this.#capacity && this.#next() === null;
  }

  /** Runs `work` when its turn comes. An aborted waiter leaves the queue and rejects with the signal's reason. */
  async run<T>(work: () => Promise<T>, { owner, weight = 1, signal }: WeightedTurn = {}): Promise<T> {
    const taken = Math.min(weight, this.#capacity);
    await this.#enter(owner, taken, signal);
    try {
      return await work();
    } finally {
      this.#free += taken;
      this.#admit();
    }
  }

  async #enter(owner: string | undefined, weight: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { weight, admit: resolve };
    const { waiting } = this.#queueOf(owner);
    const abandon = () => {
      // Once it was admitted this is too late, and its work is told by the signal itself.
      if (!waiting.delete(waiter)) return;
      reject(signal?.reason);
      this.#admit();
    };
    waiting.add(waiter);
    signal?.addEventListener('abort', abandon, { once: true });
    this.#admit();
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', abandon);
    }
  }

  #queueOf(owner: string | undefined): Queue {
    const known = this.#queues.get(owner);
    if (known !== undefined && (known.waiting.size > 0 || known.served > this.#clock)) return known;
    // Anew, and so behind those that wait with as little.
    this.#queues.delete(owner);
    const queue = { waiting: new Set<Waiter>(), served: this.#clock };
    this.#queues.set(owner, queue);
    return queue;
  }

  #next(): { queue: Queue; waiter: Waiter } | null {
    let least: { queue: Queue; waiter: Waiter } | null = null;
    for (const queue of this.#queues.values()) {
      const [waiter] = queue.waiting;
      if (waiter !== undefined && queue.served < (least?.queue.served ?? Infinity)) least = { queue, waiter };
    }
    return least;
  }

  #admit(): void {
    for (let next = this.#next(); next !== null; next = this.#next()) {
      const { queue, waiter } = next;
      if (waiter.weight > this.#free) return;
      queue.waiting.delete(waiter);
      this.#free -= waiter.weight;
      this.#clock = queue.served;
      queue.served += waiter.weight;
      waiter.admit();
    }
    this.#forget();
  }

  /** Nothing waits now: an owner is worth remembering only while it is ahead of the clock and something still runs. */
  #forget(): void {
    const isEmpty = this.#free === this.#capacity;
    for (const [owner, { served }] of this.#queues) {
      if (isEmpty || served <= this.#clock) this.#queues.delete(owner);
    }
    if (isEmpty) this.#clock = 0;
  }
}
