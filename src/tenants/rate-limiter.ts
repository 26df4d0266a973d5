import { type Clock, systemClock } from '../lib/clock.ts';

/** Points come back at `pointsPerSecond` until there are `burst` of them. */
export interface RateLimit {
  readonly pointsPerSecond: number;
  readonly burst: number;
}

export interface RateVerdict {
  readonly admitted: boolean;
  /** Whole points left, after this request where it was admitted. */
  readonly remaining: number;
  /** 0 where admitted; else after how long the same request would be, if no other came. Infinity: its cost is above the burst. */
  readonly retryAfterMs: number;
}

export interface RateLimiter {
  /** Takes `cost` points of `key`'s, or none where there are too few. A negative cost gives points back. */
  take(key: string, cost: number, limit: RateLimit): RateVerdict | Promise<RateVerdict>;
}

/** What binary fractions may lose along the way, in points and milliseconds: far below what a limit can express. */
const tolerance = 1e-6;

/**
 * GCRA in memory: for each key one number, the time at which all its points will be back. It is kept in time, not in points,
 * so a changed limit applies from the next request on. Elapsed time, not the wall clock's: correcting that gives and takes nothing.
 */
export class MemoryRateLimiter implements RateLimiter {
  readonly #fullAt = new Map<string, number>();
  readonly #clock: Clock;
  #sweepAtSize = 1024;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** How many keys are remembered: those whose points are not all back, and a bounded number of others. */
  get size(): number {
    return this.#fullAt.size;
  }

  take(key: string, cost: number, { pointsPerSecond, burst }: RateLimit): RateVerdict {
    const now = this.#clock.elapsed();
    const msPerPoint = 1000 / pointsPerSecond;
    const fullAt = Math.max(this.#fullAt.get(key) ?? now, now);
    const remainingAt = (time: number) =>
      Math.max(0, Math.floor(burst - (time - now) / msPerPoint + tolerance));

    const fullAtAfter = Math.max(now, fullAt + cost * msPerPoint);
    const waitMs = fullAtAfter - burst * msPerPoint - now;
    if (waitMs > tolerance) {
      const retryAfterMs = cost > burst ? Infinity : Math.ceil(waitMs - tolerance);
      return { admitted: false, remaining: remainingAt(fullAt), retryAfterMs };
    }
    this.#fullAt.set(key, fullAtAfter);
    if (this.#fullAt.size > this.#sweepAtSize) this.#dropIdle(now);
    return { admitted: true, remaining: remainingAt(fullAtAfter), retryAfterMs: 0 };
  }

  /**
   * A key whose points are all back is the same as one never seen. Sweeping whenever the map has doubled costs each new key
   * two steps on average, and needs no timer.
   */
  #dropIdle(now: number): void {
    for (const [key, fullAt] of this.#fullAt) {
      if (fullAt <= now) this.#fullAt.delete(key);
    }
    this.#sweepAtSize = Math.max(1024, this.#fullAt.size * 2);
  }
}
