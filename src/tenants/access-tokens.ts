import { type Clock, systemClock } from '../lib/clock.ts';
import { SignedTokens } from './signed-tokens.ts';
import type { SigningKeys } from './signing-keys.ts';

/** What an access token says: no more than which session to look up. Scopes are read there, at each use. */
export interface AccessClaims {
  readonly memberId: string;
  readonly sessionId: string;
}

/** How long an access token is good for. */
export const accessTokenSeconds = 900;

/** JSON Web Tokens of a signed-in member, good for 15 minutes. */
export class AccessTokens {
  readonly #tokens: SignedTokens<AccessClaims>;
  readonly #clock: Clock;

  constructor(keys: SigningKeys, clock: Clock = systemClock) {
    const kind = { audience: 'fovea-api', longestSeconds: accessTokenSeconds, read: claimsOf };
    this.#tokens = new SignedTokens(kind, keys, clock);
    this.#clock = clock;
  }

  issue({ memberId, sessionId }: AccessClaims): Promise<{ token: string; expiresAt: Date }> {
    return this.#tokens.sign(
      { sub: memberId, sid: sessionId },
      this.#clock.now() + accessTokenSeconds * 1000,
    );
  }

  /** null: the token is not one of ours, or has expired. Whether its session stands is for the caller to see. */
  verify(token: string): Promise<AccessClaims | null> {
    return this.#tokens.verify(token);
  }
}

function claimsOf({ sub, sid }: { sub?: unknown; sid?: unknown }): AccessClaims | null {
  return typeof sub === 'string' && typeof sid === 'string' ? { memberId: sub, sessionId: sid } : null;
}
