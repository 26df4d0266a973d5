import { describe, expect, test } from 'vitest';
import { MemoryRateLimiter, type RateLimit } from '../../src/tenants/rate-limiter.ts';
import { ManualClock } from './fixture.ts';

/** A bucket counted in whole thousandths of a point, exact for whole milliseconds and whole points a second. */
class Bucket {
  #thousandths: number;
  #at = 0;
  readonly #limit: RateLimit;

  constructor(limit: RateLimit) {
    this.#limit = limit;
    this.#thousandths = limit.burst * 1000;
  }

  take(cost: number, now: number) {
    const { pointsPerSecond, burst } = this.#limit;
    this.#thousandths = Math.min(burst * 1000, this.#thousandths + (now - this.#at) * pointsPerSecond);
    this.#at = now;
    const lacking = cost * 1000 - this.#thousandths;
    if (lacking <= 0) this.#thousandths = Math.min(burst * 1000, this.#thousandths - cost * 1000);
    const retryAfterMs = cost > burst ? Infinity : Math.ceil(lacking / pointsPerSecond);
    return {
      admitted: lacking <= 0,
      remaining: Math.floor(this.#thousandths / 1000),
      retryAfterMs: lacking <= 0 ? 0 : retryAfterMs,
    };
  }
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('the rate limiter', () => {
  test.each([
    { pointsPerSecond: 20, burst: 64 },
    { pointsPerSecond: 200, burst: 1000 },
    { pointsPerSecond: 2000, burst: 10_000 },
    { pointsPerSecond: 3, burst: 7 },
    { pointsPerSecond: 7, burst: 100 },
  ])('decides as a bucket of $burst that fills at $pointsPerSecond a second', (limit) => {
    const random = seeded(limit.burst);
    const clock = new ManualClock();
    const limiter = new MemoryRateLimiter(clock);
    const bucket = new Bucket(limit);
    let refused = 0;
    for (let i = 0; i < 5_000; i++) {
      const restoreMs = (limit.burst / limit.pointsPerSecond) * 1000;
      clock.advance(Math.floor(random() ** 8 * restoreMs));
      const cost = Math.floor(random() ** 3 * (limit.burst + 1)) - (random() < 0.05 ? 3 : 0);
      const verdict = limiter.take('tenant', cost, limit);
      expect(verdict, `step ${i}, cost ${cost}`).toEqual(bucket.take(cost, clock.elapsed()));
      if (!verdict.admitted) refused++;
    }
    expect(refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(4_900);
  });

  test('admits after retryAfterMs, and not a millisecond before', () => {
    const limit = { pointsPerSecond: 3, burst: 7 };
    for (const cost of [1, 2, 5, 7]) {
      const clock = new ManualClock();
      const limiter = new MemoryRateLimiter(clock);
      limiter.take('k', 7, limit);
      const { retryAfterMs } = limiter.take('k', cost, limit);
      clock.advance(retryAfterMs - 1);
      expect(limiter.take('k', cost, limit)).toMatchObject({ admitted: false, retryAfterMs: 1 });
      clock.advance(1);
      expect(limiter.take('k', cost, limit).admitted).toBe(true);
    }
  });

  test('a refusal takes nothing', () => {
    const limiter = new MemoryRateLimiter(new ManualClock());
    const limit = { pointsPerSecond: 1, burst: 64 };
    for (let i = 0; i < 10; i++) expect(limiter.take('k', 65, limit)).toMatchObject({ remaining: 64 });
    expect(limiter.take('k', 65, limit)).toEqual({ admitted: false, remaining: 64, retryAfterMs: Infinity });
    expect(limiter.take('k', 64, limit)).toEqual({ admitted: true, remaining: 0, retryAfterMs: 0 });
  });

  test('keys do not share points, and giving back never makes more than the burst', () => {
    const limiter = new MemoryRateLimiter(new ManualClock());
    const limit = { pointsPerSecond: 1, burst: 10 };
    limiter.take('a', 10, limit);
    expect(limiter.take('b', 1, limit).remaining).toBe(9);
    limiter.take('b', -100, limit);
    expect(limiter.take('b', 1, limit).remaining).toBe(9);
    limiter.take('a', -2, limit);
    expect(limiter.take('a', 3, limit).admitted).toBe(false);
    expect(limiter.take('a', 2, limit).admitted).toBe(true);
  });

  test('a changed limit applies to the next request', () => {
    const limiter = new MemoryRateLimiter(new ManualClock());
    limiter.take('k', 64, { pointsPerSecond: 20, burst: 64 });
    expect(limiter.take('k', 1000, { pointsPerSecond: 2000, burst: 10_000 }).admitted).toBe(true);
    expect(limiter.take('k', 1, { pointsPerSecond: 20, burst: 64 })).toMatchObject({
      admitted: false,
      remaining: 0,
    });
  });

  test('remembers no key whose points are back', () => {
    const clock = new ManualClock();
    const limiter = new MemoryRateLimiter(clock);
    const limit = { pointsPerSecond: 1, burst: 10 };
    for (let i = 0; i < 100_000; i++) {
      clock.advance(10); // A point is back after a second: 100 keys are never idle at once.
      limiter.take(`k${i}`, 1, limit);
    }
    expect(limiter.size).toBeLessThanOrEqual(1024);
  });
});
