import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../lib/clock.ts';
import { UnauthenticatedError } from '../lib/errors.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { Credentials } from './credentials.ts';
import { limitFailures, unknownKeyBucket } from './failure-limit.ts';
import { apiKeyPrefix, parseApiKey } from './key-format.ts';
import type { KeyUsage } from './key-usage.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { isSecret } from './secrets.ts';
import type { Principal } from './types.ts';

export interface AuthenticatorParts {
  readonly credentials: Credentials;
  readonly tokens: AccessTokens;
  readonly keyUsage: KeyUsage;
  readonly rateLimiter: RateLimiter;
  readonly clock?: Clock;
}

/** Tells who sent a request from its `Authorization` header. */
export class Authenticator {
  readonly #credentials: Credentials;
  readonly #tokens: AccessTokens;
  readonly #keyUsage: KeyUsage;
  readonly #rateLimiter: RateLimiter;
  readonly #clock: Clock;
  /**
   * The secret's hash of each short id that was proven here, and kept when what stands behind it must be looked up again: whoever
   * proves it once more is no guesser, and is not held up by the guessers of its network. Grants nothing by itself.
   */
  readonly #proven = new LRUCache<string, Uint8Array>({ max: 20_000 });

  constructor({ credentials, tokens, keyUsage, rateLimiter, clock = systemClock }: AuthenticatorParts) {
    this.#credentials = credentials;
    this.#tokens = tokens;
    this.#keyUsage = keyUsage;
    this.#rateLimiter = rateLimiter;
    this.#clock = clock;
  }

  /**
   * null: no credential was presented. Throws UnauthenticatedError, always with the same message, for one that does not hold:
   * whether a key exists, is revoked or was mistyped is nobody's business who does not have it. RateLimitedError after many
   * keys from one network that nobody has, except for a key that was valid in this process before.
   */
  async authenticate(authorization: string | undefined, clientAddress: string): Promise<Principal | null> {
    if (authorization === undefined) return null;
    const presented = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    const principal = presented === undefined ? null : await this.#principal(presented, clientAddress);
    if (principal === null) {
      throw new UnauthenticatedError(
        'The credential is not valid: send `Authorization: Bearer <API key or access token>` with one that is neither ' +
          'expired nor revoked.',
      );
    }
    this.#keyUsage.note(principal);
    return principal;
  }

  #principal(presented: string, clientAddress: string): Promise<Principal | null> {
    return presented.startsWith(apiKeyPrefix)
      ? this.#byKey(presented, clientAddress)
      : this.#byToken(presented);
  }

  async #byKey(text: string, clientAddress: string): Promise<Principal | null> {
    const parts = parseApiKey(text);
    if (parts === null) return null;
    const key = await this.#credentials.key(parts.shortId, (lookUp) =>
      isSecret(parts.secret, this.#proven.get(parts.shortId))
        ? lookUp()
        : limitUnknown(this.#rateLimiter, clientAddress, lookUp),
    );
    const matches = isSecret(parts.secret, key?.secretSha256);
    if (key === null || (key.expiresAt !== null && key.expiresAt.getTime() <= this.#clock.now())) {
      this.#proven.delete(parts.shortId);
      return null;
    }
    if (!matches) return null;
    this.#proven.set(parts.shortId, key.secretSha256);
    return key.principal;
  }

  async #byToken(token: string): Promise<Principal | null> {
    const claims = await this.#tokens.verify(token);
    if (claims === null) return null;
    const principal = await this.#credentials.session(claims.sessionId);
    return principal?.memberId === claims.memberId ? principal : null;
  }
}

/** Anybody can write a key of the right form: the look-up of one that is not there is paid for like an operation. */
function limitUnknown<T>(
  rateLimiter: RateLimiter,
  clientAddress: string,
  lookUp: () => Promise<T | null>,
): Promise<T | null> {
  return limitFailures(
    rateLimiter,
    [unknownKeyBucket(clientAddress)],
    'Too many unknown API keys came from your network: wait before the next.',
    lookUp,
  );
}
