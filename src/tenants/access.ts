import type { Database } from '../db/database.ts';
import type { Notifications } from '../db/notifications.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { AccessTokens } from './access-tokens.ts';
import { ApiKeys } from './api-keys.ts';
import { Authenticator } from './authenticator.ts';
import { Credentials } from './credentials.ts';
import { type FirstBoot, type FirstBootSettings, initialise } from './first-boot.ts';
import { KeyUsage } from './key-usage.ts';
import { Passwords } from './passwords.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { Sessions } from './sessions.ts';
import { SigningKeys } from './signing-keys.ts';
import { Tenants } from './tenants.ts';

export interface AccessParts {
  readonly database: Database;
  readonly notifications: Notifications;
  readonly rateLimiter: RateLimiter;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** Everything that says who a caller is, over one set of caches. */
export interface Access {
  readonly authenticator: Authenticator;
  readonly apiKeys: ApiKeys;
  readonly sessions: Sessions;
  readonly tenants: Tenants;
  firstBoot(settings: FirstBootSettings): Promise<FirstBoot | null>;
  /** Writes when keys were last used. */
  close(): Promise<void>;
}

export function openAccess({
  database,
  notifications,
  rateLimiter,
  logger,
  clock = systemClock,
}: AccessParts): Access {
  const credentials = new Credentials(database, notifications);
  const passwords = new Passwords();
  const keyUsage = new KeyUsage(database, logger, clock);
  const tokens = new AccessTokens(new SigningKeys(database, notifications, clock), clock);
  return {
    authenticator: new Authenticator({ credentials, tokens, keyUsage, clock }),
    apiKeys: new ApiKeys(database, credentials, clock),
    sessions: new Sessions({ database, credentials, passwords, tokens, rateLimiter, clock }),
    tenants: new Tenants(database, credentials, passwords),
    firstBoot: (settings) => initialise(database, passwords, settings),
    close: () => keyUsage.close(),
  };
}
