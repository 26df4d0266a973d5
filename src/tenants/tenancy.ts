import type { Database } from '../db/database.ts';
import type { Notifications } from '../db/notifications.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { AccessTokens } from './access-tokens.ts';
import { AllowedOrigins } from './allowed-origins.ts';
import { ApiKeys } from './api-keys.ts';
import { Authenticator } from './authenticator.ts';
import { ClientTokens } from './client-tokens.ts';
import { Credentials } from './credentials.ts';
import { type FirstBoot, type FirstBootSettings, initialise } from './first-boot.ts';
import { KeyUsage } from './key-usage.ts';
import { Passwords } from './passwords.ts';
import { MemoryRateLimiter, type RateLimiter } from './rate-limiter.ts';
import { Sessions } from './sessions.ts';
import { SigningKeys } from './signing-keys.ts';
import { Tenants } from './tenants.ts';

export interface TenancyOptions {
  readonly database: Database;
  readonly notifications: Notifications;
  readonly logger: Logger;
  /** Limits failed sign-ins, unknown API keys and unknown origins. */
  readonly rateLimiter?: RateLimiter;
  readonly clock?: Clock;
}

/** The services of this folder, wired to each other: they share one memory of credentials. */
export interface Tenancy {
  readonly tenants: Tenants;
  readonly apiKeys: ApiKeys;
  readonly sessions: Sessions;
  readonly clientTokens: ClientTokens;
  readonly origins: AllowedOrigins;
  readonly authenticator: Authenticator;
  /** Makes the operator's tenant, its owner and its key, once: null where there is one. */
  firstBoot(settings: FirstBootSettings): Promise<FirstBoot | null>;
  /** Writes what is still to be written. */
  close(): Promise<void>;
}

export function createTenancy({
  database,
  notifications,
  logger,
  clock = systemClock,
  rateLimiter = new MemoryRateLimiter(clock),
}: TenancyOptions): Tenancy {
  const credentials = new Credentials(database, notifications);
  const passwords = new Passwords();
  const keys = new SigningKeys(database, notifications, clock);
  const tokens = new AccessTokens(keys, clock);
  const clientTokens = new ClientTokens({ database, keys, logger, clock });
  const keyUsage = new KeyUsage(database, logger, clock);
  return {
    tenants: new Tenants(database, credentials, passwords),
    apiKeys: new ApiKeys(database, credentials, clock),
    sessions: new Sessions({ database, credentials, passwords, tokens, rateLimiter, clock }),
    clientTokens,
    origins: new AllowedOrigins(database, notifications, rateLimiter),
    authenticator: new Authenticator({ credentials, tokens, clientTokens, keyUsage, rateLimiter, clock }),
    firstBoot: (settings) => initialise(database, passwords, settings),
    close: () => keyUsage.close(),
  };
}
