import { ChangedCache } from '../db/changed-cache.ts';
import type { Database } from '../db/database.ts';
import type { Notifications } from '../db/notifications.ts';
import { OverloadedError, RateLimitedError } from '../lib/errors.ts';
import { limitFailures, unknownOriginBucket } from './failure-limit.ts';
import { isOrigin } from './origin.ts';
import type { RateLimiter } from './rate-limiter.ts';

/**
 * Which origins are on some tenant's list: what can be told before a tenant is known. Remembered until a tenant changes, origins
 * of nobody too; both bounded.
 */
export class AllowedOrigins {
  readonly #database: Database;
  readonly #rateLimiter: RateLimiter;
  readonly #cache: ChangedCache<true>;

  constructor(database: Database, notifications: Notifications, rateLimiter: RateLimiter) {
    this.#database = database;
    this.#rateLimiter = rateLimiter;
    // Any tenant may be the one that comes to allow an origin, or no longer does.
    this.#cache = new ChangedCache(notifications, { max: 10_000, ttlMs: 300_000, tagsOf: () => ['tenant'] });
  }

  /**
   * Whether any tenant allows `origin`. Anybody can make origins up: a network that has asked for too many unknown ones is told
   * no for each that is not remembered.
   */
  async allows(origin: string, clientAddress: string): Promise<boolean> {
    if (!isOrigin(origin)) return false;
    try {
      return (await this.#cache.get(origin, () => this.#lookUp(origin, clientAddress))) === true;
    } catch (error) {
      // Who may be asked no more, or whose limit cannot be checked, is told no as well.
      if (error instanceof RateLimitedError || error instanceof OverloadedError) return false;
      throw error;
    }
  }

  #lookUp(origin: string, clientAddress: string): Promise<true | null> {
    return limitFailures(
      this.#rateLimiter,
      [unknownOriginBucket(clientAddress)],
      'Too many unknown origins came from your network.',
      async () => {
        const found = await this.#database.presenting(origin, (tx) =>
          tx.tenant.findFirst({ where: { allowedOrigins: { has: origin } }, select: { id: true } }),
        );
        return found && true;
      },
    );
  }
}
