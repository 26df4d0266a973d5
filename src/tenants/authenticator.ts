import { type Clock, systemClock } from '../lib/clock.ts';
import { UnauthenticatedError } from '../lib/errors.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { Credentials } from './credentials.ts';
import { apiKeyPrefix, parseApiKey } from './key-format.ts';
import type { KeyUsage } from './key-usage.ts';
import { isSecret } from './secrets.ts';
import type { Principal } from './types.ts';

export interface AuthenticatorParts {
  readonly credentials: Credentials;
  readonly tokens: AccessTokens;
  readonly keyUsage: KeyUsage;
  readonly clock?: Clock;
}

/** Tells who sent a request from its `Authorization` header. */
export class Authenticator {
  readonly #credentials: Credentials;
  readonly #tokens: AccessTokens;
  readonly #keyUsage: KeyUsage;
  readonly #clock: Clock;

  constructor({ credentials, tokens, keyUsage, clock = systemClock }: AuthenticatorParts) {
    this.#credentials = credentials;
    this.#tokens = tokens;
    this.#keyUsage = keyUsage;
    this.#clock = clock;
  }

  /**
   * null: no credential was presented. Throws UnauthenticatedError, always with the same message, for one that does not hold:
   * whether a key exists, is revoked or was mistyped is nobody's business who does not have it.
   */
  async authenticate(authorization: string | undefined): Promise<Principal | null> {
    if (authorization === undefined) return null;
    const presented = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    const principal = presented === undefined ? null : await this.#principal(presented);
    if (principal === null) {
      throw new UnauthenticatedError(
        'The credential is not valid: send `Authorization: Bearer <API key or access token>` with one that is neither ' +
          'expired nor revoked.',
      );
    }
    this.#keyUsage.note(principal);
    return principal;
  }

  #principal(presented: string): Promise<Principal | null> {
    return presented.startsWith(apiKeyPrefix) ? this.#byKey(presented) : this.#byToken(presented);
  }

  async #byKey(text: string): Promise<Principal | null> {
    const parts = parseApiKey(text);
    if (parts === null) return null;
    const key = await this.#credentials.key(parts.shortId);
    if (!isSecret(parts.secret, key?.secretSha256) || key === null) return null;
    if (key.expiresAt !== null && key.expiresAt.getTime() <= this.#clock.now()) return null;
    return key.principal;
  }

  async #byToken(token: string): Promise<Principal | null> {
    const claims = await this.#tokens.verify(token);
    if (claims === null) return null;
    const principal = await this.#credentials.session(claims.sessionId);
    return principal?.memberId === claims.memberId ? principal : null;
  }
}
