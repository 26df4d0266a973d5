/**
 * Milliseconds in which this process could read what clients send. It stands still while the process does, as where its
 * machine sleeps or has too much to do: what came meanwhile lies with the kernel, and by a wall clock its client would be blamed
 * for a silence that is ours.
 */
export class AttentiveClock {
  readonly #watching = new Set<() => void>();
  readonly #ticking: NodeJS.Timeout;
  #now = 0;

  /** `countedMs`: what a tick counts as, for those who have no time to wait. */
  constructor(tickMs = 1_000, countedMs = tickMs) {
    // A timer that is late fires once, however many of its periods have passed.
    this.#ticking = setInterval(() => {
      this.#now += countedMs;
      for (const look of this.#watching) look();
    }, tickMs).unref();
  }

  get now(): number {
    return this.#now;
  }

  /** Calls `look` as time goes on, until what is answered is called. */
  watch(look: () => void): () => void {
    this.#watching.add(look);
    return () => this.#watching.delete(look);
  }

  /** What `promise` comes to; throws `late()` where that takes longer than `ms`. */
  async within<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
    const deadline = this.#now + ms;
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const unwatch = this.watch(() => {
      if (this.#now > deadline) reject(late());
    });
    try {
      return await Promise.race([promise, tooLate]);
    } finally {
      unwatch();
    }
  }

  stop(): void {
    clearInterval(this.#ticking);
  }
}
