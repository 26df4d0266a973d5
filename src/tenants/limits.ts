import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { type ConcurrencyLimiter, MemoryConcurrencyLimiter } from './concurrency-limiter.ts';
import { MemoryRateLimiter, type RateLimiter } from './rate-limiter.ts';
import { SharedConcurrencyLimiter, SharedRateLimiter, type WithoutRedis } from './shared-limits.ts';

export interface Limits {
  readonly rateLimiter: RateLimiter;
  readonly concurrency: ConcurrencyLimiter;
  /** Whether they are shared with other processes at present; null: they are this process's own. */
  readonly areShared: boolean | null;
  close(): Promise<void>;
}

export interface LimitsOptions {
  /** null: this process keeps limits by itself. */
  readonly redisUrl: string | null;
  readonly withoutRedis: WithoutRedis;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** What holds callers to their plans' rates and places: shared through Redis where there is one. */
export async function openLimits({ redisUrl, withoutRedis, logger, clock }: LimitsOptions): Promise<Limits> {
  if (redisUrl === null) {
    return {
      rateLimiter: new MemoryRateLimiter(clock),
      concurrency: new MemoryConcurrencyLimiter(),
      areShared: null,
      close: async () => {},
    };
  }
  const { RedisLink } = await import('./redis-link.ts'); // Its client is much to read, for a start that needs none.
  const redis = await RedisLink.open(redisUrl, logger);
  const concurrency = new SharedConcurrencyLimiter(redis, withoutRedis, logger);
  return {
    rateLimiter: new SharedRateLimiter(redis, withoutRedis, clock),
    concurrency,
    get areShared() {
      return redis.isUp;
    },
    async close() {
      await concurrency.close();
      await redis.close();
    },
  };
}
