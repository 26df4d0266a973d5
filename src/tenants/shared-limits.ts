import { randomUUID } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import { OverloadedError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { type Repeating, repeat } from '../lib/repeating.ts';
import { type ConcurrencyLimiter, MemoryConcurrencyLimiter } from './concurrency-limiter.ts';
import { MemoryRateLimiter, type RateLimit, type RateLimiter, type RateVerdict } from './rate-limiter.ts';
import type { RedisLink } from './redis-link.ts';

/**
 * What holds while Redis is away. `local`: each process keeps the limits by itself, and its bursts are full at first: N processes
 * admit N times as much at most as one that begins then. `refuse`: nothing is admitted.
 */
export type WithoutRedis = 'local' | 'refuse';

/** Rate limits that all processes on one Redis share. */
export class SharedRateLimiter implements RateLimiter {
  readonly #redis: RedisLink;
  readonly #withoutRedis: WithoutRedis;
  readonly #local: MemoryRateLimiter;

  constructor(redis: RedisLink, withoutRedis: WithoutRedis, clock: Clock) {
    this.#local = new MemoryRateLimiter(clock);
    this.#redis = redis;
    this.#withoutRedis = withoutRedis;
  }

  /** @throws OverloadedError where Redis is away, and nothing is to be admitted without it */
  async take(key: string, cost: number, limit: RateLimit): Promise<RateVerdict> {
    const answer = await this.#redis.ask((redis) =>
      redis.take(`fovea:rate:${key}`, cost, 1_000 / limit.pointsPerSecond, limit.burst),
    );
    if (answer) {
      const [admitted, remaining, waitMs] = answer as [number, number, number];
      const retryAfterMs = admitted === 0 && cost > limit.burst ? Infinity : waitMs;
      return { admitted: admitted === 1, remaining, retryAfterMs };
    }
    // What is given back was taken of somebody who has it already.
    if (this.#withoutRedis === 'refuse' && cost > 0) throw redisIsAway();
    return this.#local.take(key, cost, limit);
  }
}

/** A lease of a process that died ends by itself after so long, and so does its tenant's place. */
const LEASE_MS = 10_000;
/** Two of these in a row may fail. */
const RENEW_MS = 3_000;

/**
 * Bounds on what is under way at once that all processes on one Redis share. Each place is a lease, which its process renews for
 * as long as it holds it: also after Redis came back empty.
 */
export class SharedConcurrencyLimiter implements ConcurrencyLimiter {
  readonly #redis: RedisLink;
  readonly #withoutRedis: WithoutRedis;
  readonly #local = new MemoryConcurrencyLimiter();
  readonly #leases = new Map<string, Set<string>>();
  readonly #renewing: Repeating;

  constructor(redis: RedisLink, withoutRedis: WithoutRedis, logger: Logger) {
    this.#redis = redis;
    this.#withoutRedis = withoutRedis;
    this.#renewing = repeat('Renewing places in Redis', RENEW_MS, () => this.#renew(), logger);
  }

  /** So far as this process knows by itself: what others have under way it learns by `enter` alone. */
  isFull(key: string, limit: number): boolean {
    return this.#local.isFull(key, limit);
  }

  /** @throws OverloadedError where Redis is away, and nothing is to be admitted without it */
  async enter(key: string, limit: number): Promise<(() => void) | null> {
    const leaveHere = this.#local.enter(key, limit);
    if (!leaveHere) return null;
    const lease = randomUUID();
    const answer = await this.#redis.ask((redis) => redis.enter(setOf(key), lease, limit, LEASE_MS));
    if (answer?.[0] === 0 || (answer === null && this.#withoutRedis === 'refuse')) {
      leaveHere();
      if (answer) return null;
      // Whether it was carried out is unknown: then it ends by itself, not being renewed.
      throw redisIsAway();
    }
    const leases = this.#leases.get(key) ?? new Set();
    this.#leases.set(key, leases.add(lease));
    return () => {
      if (!leases.delete(lease)) return;
      leaveHere();
      if (leases.size === 0) this.#leases.delete(key);
      // Where this does not come through, the lease ends by itself.
      void this.#redis.ask((redis) => redis.leave(setOf(key), lease));
    };
  }

  close(): Promise<void> {
    return this.#renewing.stop();
  }

  async #renew(): Promise<void> {
    for (const [key, leases] of this.#leases)
      await this.#redis.ask((redis) => redis.renew(setOf(key), LEASE_MS, ...leases));
  }
}

function setOf(key: string): string {
  return `fovea:running:${key}`;
}

function redisIsAway(): OverloadedError {
  return new OverloadedError('Limits cannot be checked now: try again.', { retryAfterMs: 1_000 });
}
