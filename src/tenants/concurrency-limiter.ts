export interface ConcurrencyLimiter {
  /** Answers what to call when the work is done, or null where `limit` of `key`'s are under way. */
  enter(key: string, limit: number): (() => void) | null | Promise<(() => void) | null>;
  /** Whether `enter` would answer null, so far as that is known without asking anybody. */
  isFull(key: string, limit: number): boolean;
}

/** Counts what is under way in this process. */
export class MemoryConcurrencyLimiter implements ConcurrencyLimiter {
  readonly #running = new Map<string, number>();

  isFull(key: string, limit: number): boolean {
    return (this.#running.get(key) ?? 0) >= limit;
  }

  enter(key: string, limit: number): (() => void) | null {
    if (this.isFull(key, limit)) return null;
    this.#running.set(key, (this.#running.get(key) ?? 0) + 1);

    let left = false;
    return () => {
      if (left) return; // a second call must not free another request's place
      left = true;
      const others = this.#running.get(key)! - 1;
      if (others === 0) this.#running.delete(key);
      else this.#running.set(key, others);
    };
  }

  /** How many keys have work under way. */
  get size(): number {
    return this.#running.size;
  }
}
