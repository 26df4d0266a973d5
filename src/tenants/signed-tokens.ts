import { createHash } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.ts';
import type { SigningKeys } from './signing-keys.ts';

/** One kind of token: what it is for, and how its claims are read. */
export interface TokenKind<Claims> {
  /** Tells the kinds apart: a token of one kind is none of another. */
  readonly audience: string;
  /** For how long a token of the kind is good at most, seconds. */
  readonly longestSeconds: number;
  /** null: a claim is missing, or is not what this kind has there. */
  readonly read: (payload: jwt.JwtPayload) => Claims | null;
}

const issuer = 'fovea';
// Fixed here, never read from a token: otherwise a token could name `none`, or have a public key taken for a shared secret.
const algorithm = 'ES256';

/** JSON Web Tokens of one kind, signed with the installation's keys. */
export class SignedTokens<Claims extends object> {
  readonly #kind: TokenKind<Claims>;
  readonly #keys: SigningKeys;
  readonly #clock: Clock;
  /** By the token's hash: verifying an ES256 signature costs as much as the rest of a request's bookkeeping together. */
  readonly #verified = new LRUCache<string, { claims: Claims; expiresAt: number }>({ max: 10_000 });

  constructor(kind: TokenKind<Claims>, keys: SigningKeys, clock: Clock) {
    this.#kind = kind;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** `payload` is what `read` makes claims of; it ends at `expiresAt`, rounded down to a second. */
  async sign(payload: jwt.JwtPayload, expiresAt: number): Promise<{ token: string; expiresAt: Date }> {
    const { kid, privatePem } = await this.#keys.active();
    const [iat, exp] = [this.#clock.now(), expiresAt].map((ms) => Math.floor(ms / 1000)) as [number, number];
    const { audience } = this.#kind;
    const token = jwt.sign({ ...payload, iat, exp }, privatePem, { algorithm, keyid: kid, issuer, audience });
    return { token, expiresAt: new Date(exp * 1000) };
  }

  /** null: the token is none of this kind of ours, or has expired. Whether what it names stands is for the caller to see. */
  async verify(token: string): Promise<Claims | null> {
    const hash = createHash('sha256').update(token).digest('base64');
    let verified = this.#verified.get(hash) ?? null;
    if (verified === null) {
      verified = await this.#check(token);
      if (verified !== null) this.#verified.set(hash, verified);
    }
    return verified !== null && verified.expiresAt > this.#clock.now() ? verified.claims : null;
  }

  async #check(token: string): Promise<{ claims: Claims; expiresAt: number } | null> {
    const { audience, longestSeconds, read } = this.#kind;
    const kid = keyIdOf(token, audience);
    const publicPem = kid === null ? null : await this.#keys.publicPem(kid, longestSeconds);
    if (publicPem === null) return null;
    try {
      const payload = jwt.verify(token, publicPem, {
        algorithms: [algorithm],
        issuer,
        audience,
        maxAge: longestSeconds,
        clockTimestamp: Math.floor(this.#clock.now() / 1000),
      });
      if (typeof payload === 'string' || typeof payload.exp !== 'number') return null;
      const claims = read(payload);
      return claims && { claims, expiresAt: payload.exp * 1000 };
    } catch {
      return null; // whatever is wrong with it, it is not to be trusted, and its sender is told no more than that
    }
  }
}

/** The key that a token names, where it says that it is for `audience`: what is for another is not worth a signature's check. */
function keyIdOf(token: string, audience: string): string | null {
  try {
    const { header, payload } = jwt.decode(token, { complete: true }) ?? {};
    const kid: unknown = header?.kid;
    return typeof kid === 'string' && typeof payload === 'object' && payload.aud === audience ? kid : null;
  } catch {
    return null; // not even JSON
  }
}
