import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../lib/clock.ts';
import { ForbiddenError, UnauthenticatedError } from '../lib/errors.ts';
import type { AccessTokens } from './access-tokens.ts';
import { clientTokenScopes } from './client-token-claims.ts';
import type { ClientTokens } from './client-tokens.ts';
import type { Credentials, KeyCredential } from './credentials.ts';
import { limitFailures, unknownKeyBucket } from './failure-limit.ts';
import { apiKeyPrefix, parseApiKey } from './key-format.ts';
import type { KeyUsage } from './key-usage.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { isSecret } from './secrets.ts';
import type { Principal } from './types.ts';

export interface AuthenticatorParts {
  readonly credentials: Credentials;
  readonly tokens: AccessTokens;
  readonly clientTokens: Pick<ClientTokens, 'verify'>;
  readonly keyUsage: KeyUsage;
  readonly rateLimiter: RateLimiter;
  readonly clock?: Clock;
}

/** Tells who sent a request from its headers `Authorization` and `Origin`. */
export class Authenticator {
  readonly #credentials: Credentials;
  readonly #tokens: AccessTokens;
  readonly #clientTokens: Pick<ClientTokens, 'verify'>;
  readonly #keyUsage: KeyUsage;
  readonly #rateLimiter: RateLimiter;
  readonly #clock: Clock;
  /**
   * The secret's hash of each short id that was proven here, and kept when what stands behind it must be looked up again: whoever
   * proves it once more is no guesser, and is not held up by the guessers of its network. Grants nothing by itself.
   */
  readonly #proven = new LRUCache<string, Uint8Array>({ max: 20_000 });

  constructor(parts: AuthenticatorParts) {
    this.#credentials = parts.credentials;
    this.#tokens = parts.tokens;
    this.#clientTokens = parts.clientTokens;
    this.#keyUsage = parts.keyUsage;
    this.#rateLimiter = parts.rateLimiter;
    this.#clock = parts.clock ?? systemClock;
  }

  /**
   * null: no credential was presented. Throws UnauthenticatedError, always with the same message, for one that does not hold:
   * whether a key exists, is revoked or was mistyped is nobody's business who does not have it. RateLimitedError after many
   * keys from one network that nobody has, except for a key that was valid in this process before. ForbiddenError for a client
   * token that is sent from elsewhere than its origins.
   */
  async authenticate(
    authorization: string | undefined,
    clientAddress: string,
    origin?: string,
  ): Promise<Principal | null> {
    if (authorization === undefined) return null;
    const presented = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    const principal = presented === undefined ? null : await this.#principal(presented, clientAddress);
    if (principal === null) {
      throw new UnauthenticatedError(
        'The credential is not valid: send `Authorization: Bearer <API key or access token>` with one that is neither ' +
          'expired nor revoked.',
      );
    }
    requireOrigin(principal, origin);
    this.#keyUsage.note(principal);
    return principal;
  }

  async #principal(presented: string, clientAddress: string): Promise<Principal | null> {
    if (presented.startsWith(apiKeyPrefix)) return this.#byKey(presented, clientAddress);
    return (await this.#byAccessToken(presented)) ?? (await this.#byClientToken(presented));
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
    if (key === null || this.#hasExpired(key)) {
      this.#proven.delete(parts.shortId);
      return null;
    }
    if (!matches) return null;
    this.#proven.set(parts.shortId, key.secretSha256);
    return key.principal;
  }

  async #byAccessToken(token: string): Promise<Principal | null> {
    const claims = await this.#tokens.verify(token);
    if (claims === null) return null;
    const principal = await this.#credentials.session(claims.sessionId);
    return principal?.memberId === claims.memberId ? principal : null;
  }

  /** Its key, as it stands now, with less. */
  async #byClientToken(token: string): Promise<Principal | null> {
    const claims = await this.#clientTokens.verify(token);
    if (claims === null) return null;
    const key = await this.#credentials.key(claims.keyShortId, (lookUp) => lookUp());
    if (key === null || this.#hasExpired(key)) return null;
    const { principal } = key;
    const scopes = clientTokenScopes.filter(
      (scope) => claims.scopes.includes(scope) && principal.scopes.has(scope),
    );
    return {
      ...principal,
      scopes: new Set(scopes),
      name: `client token of ${principal.name}`,
      restriction: claims.restriction,
    };
  }

  #hasExpired({ expiresAt }: KeyCredential): boolean {
    return expiresAt !== null && expiresAt.getTime() <= this.#clock.now();
  }
}

/** A browser sends the page's origin, and no page can have it send another. A thief outside of a browser can: time and units bound that. */
function requireOrigin({ restriction }: Principal, origin: string | undefined): void {
  if (!restriction?.origins || (origin !== undefined && restriction.origins.includes(origin))) return;
  const found = origin === undefined ? 'this request has no Origin header' : `this one comes from ${origin}`;
  throw new ForbiddenError(
    `This client token is for requests from ${restriction.origins.join(', ')}, and ${found}: mint one for it, or one without origins.`,
  );
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
