import { RateLimitedError } from '../lib/errors.ts';
import { clientNetwork } from './client-network.ts';
import type { RateLimit, RateLimiter } from './rate-limiter.ts';

/** The points that a limiter keeps under one key. */
export interface Bucket {
  readonly key: string;
  readonly limit: RateLimit;
}

const ofStrangers: RateLimit = { pointsPerSecond: 10, burst: 64 };

/** What callers whom nobody knows have, each network its own: enough for signing in and for reading the schema. */
export function anonymousBucket(clientAddress: string): Bucket {
  return { key: `address:${clientNetwork(clientAddress)}`, limit: ofStrangers };
}

/**
 * What presenting API keys that nobody has costs a network. Apart from anonymous operations, which are no failures: behind one
 * address, those who read the schema must not use up what a customer's new key is looked up with.
 */
export function unknownKeyBucket(clientAddress: string): Bucket {
  return { key: `unknown-keys:${clientNetwork(clientAddress)}`, limit: ofStrangers };
}

/** What asking for origins that nobody allows costs a network: a browser asks for one, and remembers the answer. */
export function unknownOriginBucket(clientAddress: string): Bucket {
  return { key: `unknown-origins:${clientNetwork(clientAddress)}`, limit: ofStrangers };
}

/**
 * Makes an attempt that costs a point of each bucket if it fails, that is answers null. The points are taken before, so that many
 * at once cannot slip through together, and given back unless it failed: an attempt that a bucket refused, or that could not
 * be made, says nothing about who tried. Throws RateLimitedError with `refusal` where a bucket is empty.
 */
export async function limitFailures<T>(
  rateLimiter: RateLimiter,
  buckets: readonly Bucket[],
  refusal: string,
  attempt: () => Promise<T | null>,
): Promise<T | null> {
  const taken: Bucket[] = [];
  let failed = false;
  try {
    for (const bucket of buckets) {
      const { admitted, retryAfterMs } = await rateLimiter.take(bucket.key, 1, bucket.limit);
      if (!admitted) throw new RateLimitedError(refusal, { retryAfterMs });
      taken.push(bucket);
    }
    const result = await attempt();
    failed = result === null;
    return result;
  } finally {
    if (!failed) for (const { key, limit } of taken) await rateLimiter.take(key, -1, limit);
  }
}
