import { randomUUID } from 'node:crypto';
import { announce } from '../db/changes.ts';
import type { Database } from '../db/database.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { BadUserInputError, UnauthenticatedError } from '../lib/errors.ts';
import type { AccessTokens } from './access-tokens.ts';
import { clientNetwork } from './client-network.ts';
import type { Credentials } from './credentials.ts';
import { emailFault, normalEmail } from './email.ts';
import { type Bucket, limitFailures } from './failure-limit.ts';
import type { Passwords } from './passwords.ts';
import { randomText } from './random-text.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { sha256 } from './secrets.ts';
import type { Principal } from './types.ts';

/** A signed-in member: `token` for requests, `refreshToken` for the next pair of the two. */
export interface Session {
  readonly token: string;
  readonly expiresAt: Date;
  readonly refreshToken: string;
  readonly refreshExpiresAt: Date;
  readonly principal: Principal;
}

export interface SessionsParts {
  readonly database: Database;
  readonly credentials: Credentials;
  readonly passwords: Passwords;
  readonly tokens: AccessTokens;
  readonly rateLimiter: RateLimiter;
  readonly clock?: Clock;
}

const refreshLifetimeMs = 30 * 24 * 3600 * 1000;

const refreshTokenForm = /^fovr_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([A-Za-z0-9]{43})$/;

export class Sessions {
  readonly #database: Database;
  readonly #credentials: Credentials;
  readonly #passwords: Passwords;
  readonly #tokens: AccessTokens;
  readonly #rateLimiter: RateLimiter;
  readonly #clock: Clock;

  constructor({ database, credentials, passwords, tokens, rateLimiter, clock = systemClock }: SessionsParts) {
    this.#database = database;
    this.#credentials = credentials;
    this.#passwords = passwords;
    this.#tokens = tokens;
    this.#rateLimiter = rateLimiter;
    this.#clock = clock;
  }

  /** Throws UnauthenticatedError, the same whoever the address belongs to; RateLimitedError after many that failed. */
  async signIn(email: string, password: string, clientAddress: string): Promise<Session> {
    const address = normalEmail(email);
    // What cannot be anybody's is neither looked up nor remembered by the limiter, whatever its size.
    if (emailFault(address) !== null) throw wrongCredentials();
    const member = await limitFailures(
      this.#rateLimiter,
      bucketsOf(address, clientAddress),
      'Too many sign-ins failed: wait before the next.',
      async () => {
        const found = await this.#database.presenting(address, (tx) =>
          tx.member.findUnique({ where: { email: address } }),
        );
        const matches = await this.#passwords.matches(password, found?.passwordHash ?? null);
        return matches && found !== null && found.disabledAt === null ? found : null;
      },
    );
    if (member === null) throw wrongCredentials();

    const now = this.#clock.now();
    const sessionId = randomUUID();
    const secret = randomText(43);
    const expiresAt = new Date(now + refreshLifetimeMs);
    await this.#database.asTenant(member.tenantId, async (tx) => {
      await tx.session.deleteMany({ where: { memberId: member.id, expiresAt: { lt: new Date(now) } } });
      await tx.session.create({
        data: {
          id: sessionId,
          tenantId: member.tenantId,
          memberId: member.id,
          refreshSha256: sha256(secret),
          expiresAt,
        },
      });
    });
    const principal = await this.#credentials.session(sessionId);
    if (principal === null) throw refused(); // disabled in this very moment
    return this.#session(principal, sessionId, secret, expiresAt);
  }

  /**
   * Answers the next pair of tokens. A refresh token works once: presented again it has two holders, one of whom stole it,
   * so the session ends for both. Throws UnauthenticatedError.
   */
  async refresh(refreshToken: string): Promise<Session> {
    const { sessionId, secret, principal } = await this.#presented(refreshToken);
    const now = new Date(this.#clock.now());
    const expiresAt = new Date(now.getTime() + refreshLifetimeMs);
    const next = randomText(43);
    // One statement tests and sets: of many that present a token at once, the row's lock lets one find it current.
    const rotated = await this.#database.asTenant(
      principal.tenant.id,
      (tx) => tx.$executeRaw`
        UPDATE session SET refresh_sha256 = ${sha256(next)}, expires_at = ${expiresAt}
         WHERE id = ${sessionId}::uuid AND refresh_sha256 = ${sha256(secret)}
           AND revoked_at IS NULL AND expires_at > ${now}`,
    );
    if (rotated === 0) {
      // Only a session's own tokens name it, and each of them may end it: there is no need to remember the older ones.
      await this.#revoke(principal.tenant.id, sessionId);
      throw refused();
    }
    return this.#session(principal, sessionId, next, expiresAt);
  }

  /** Ends the session of a signed-in principal. Throws BadUserInputError for an API key, which has none. */
  async signOut(principal: Principal): Promise<void> {
    if (principal.sessionId === null) {
      throw new BadUserInputError(
        'An API key has no session to sign out of: revoke the key with revokeApiKey.',
      );
    }
    await this.#revoke(principal.tenant.id, principal.sessionId);
  }

  async #session(principal: Principal, id: string, secret: string, refreshExpiresAt: Date): Promise<Session> {
    const { token, expiresAt } = await this.#tokens.issue({ memberId: principal.memberId!, sessionId: id });
    return { token, expiresAt, refreshToken: `fovr_${id}_${secret}`, refreshExpiresAt, principal };
  }

  async #presented(refreshToken: string) {
    const match = refreshTokenForm.exec(refreshToken);
    const sessionId = match?.[1] ?? '';
    const principal = match && (await this.#credentials.session(sessionId));
    if (!principal) throw refused();
    return { sessionId, secret: match[2]!, principal };
  }

  async #revoke(tenantId: string, sessionId: string): Promise<void> {
    await this.#database.asTenant(tenantId, async (tx) => {
      await tx.session.updateMany({
        where: { id: sessionId, revokedAt: null },
        data: { revokedAt: new Date(this.#clock.now()) },
      });
      await announce(tx, `session:${sessionId}`);
    });
    this.#credentials.forget(`session:${sessionId}`);
  }
}

/**
 * What failed sign-ins take from. A person mistypes from one place; whoever guesses from there locks that place out, not the
 * owner elsewhere. Only guesses from very many networks at once meet the bound on the e-mail address alone.
 */
function bucketsOf(email: string, clientAddress: string): Bucket[] {
  const network = clientNetwork(clientAddress);
  return [
    { key: `sign-in:address:${network}`, limit: { burst: 50, pointsPerSecond: 1 / 6 } }, // may be an office's
    { key: `sign-in:${network}:${email}`, limit: { burst: 10, pointsPerSecond: 1 / 60 } },
    { key: `sign-in:email:${email}`, limit: { burst: 300, pointsPerSecond: 1 / 6 } },
  ];
}

function wrongCredentials(): UnauthenticatedError {
  return new UnauthenticatedError('The e-mail address or the password is wrong.');
}

function refused(): UnauthenticatedError {
  return new UnauthenticatedError('The session has ended: sign in again.');
}
