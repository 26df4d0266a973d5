import { createHash } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../lib/clock.ts';
import { accessTokenSeconds, type SigningKeys } from './signing-keys.ts';

/** What an access token says: no more than which session to look up. Scopes are read there, at each use. */
export interface AccessClaims {
  readonly memberId: string;
  readonly sessionId: string;
}

const issuer = 'fovea';
const audience = 'fovea-api';
// Fixed here, never read from a token: otherwise a token could name `none`, or have a public key taken for a shared secret.
const algorithm = 'ES256';

/** JSON Web Tokens of a signed-in member, good for 15 minutes. */
export class AccessTokens {
  readonly #keys: SigningKeys;
  readonly #clock: Clock;
  /** By the token's hash: verifying an ES256 signature costs as much as the rest of a request's bookkeeping together. */
  readonly #verified = new LRUCache<string, AccessClaims & { expiresAt: number }>({ max: 10_000 });

  constructor(keys: SigningKeys, clock: Clock = systemClock) {
    this.#keys = keys;
    this.#clock = clock;
  }

  async issue({ memberId, sessionId }: AccessClaims): Promise<{ token: string; expiresAt: Date }> {
    const { kid, privatePem } = await this.#keys.active();
    const iat = Math.floor(this.#clock.now() / 1000);
    const exp = iat + accessTokenSeconds;
    const token = jwt.sign({ sid: sessionId, iat, exp }, privatePem, {
      algorithm,
      keyid: kid,
      issuer,
      audience,
      subject: memberId,
    });
    return { token, expiresAt: new Date(exp * 1000) };
  }

  /** null: the token is not one of ours, or has expired. Whether its session stands is for the caller to see. */
  async verify(token: string): Promise<AccessClaims | null> {
    const hash = createHash('sha256').update(token).digest('base64');
    let claims = this.#verified.get(hash) ?? null;
    if (claims === null) {
      claims = await this.#check(token);
      if (claims !== null) this.#verified.set(hash, claims);
    }
    return claims !== null && claims.expiresAt > this.#clock.now() ? claims : null;
  }

  async #check(token: string): Promise<(AccessClaims & { expiresAt: number }) | null> {
    const kid = keyIdOf(token);
    const publicPem = kid === null ? null : await this.#keys.publicPem(kid);
    if (publicPem === null) return null;
    try {
      const claims = jwt.verify(token, publicPem, {
        algorithms: [algorithm],
        issuer,
        audience,
        maxAge: accessTokenSeconds,
        clockTimestamp: Math.floor(this.#clock.now() / 1000),
      });
      if (typeof claims === 'string' || typeof claims.exp !== 'number') return null;
      const { sub, sid, exp } = claims;
      if (typeof sub !== 'string' || typeof sid !== 'string') return null;
      return { memberId: sub, sessionId: sid, expiresAt: exp * 1000 };
    } catch {
      return null; // whatever is wrong with it, it is not to be trusted, and its sender is told no more than that
    }
  }
}

function keyIdOf(token: string): string | null {
  try {
    const kid: unknown = jwt.decode(token, { complete: true })?.header.kid;
    return typeof kid === 'string' ? kid : null;
  } catch {
    return null; // not even JSON
  }
}
