import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BadUserInputError,
  OverloadedError,
  RateLimitedError,
  UnauthenticatedError,
} from '../../src/lib/errors.ts';
import { AccessTokens } from '../../src/tenants/access-tokens.ts';
import { Credentials } from '../../src/tenants/credentials.ts';
import { Passwords } from '../../src/tenants/passwords.ts';
import { MemoryRateLimiter } from '../../src/tenants/rate-limiter.ts';
import { Sessions } from '../../src/tenants/sessions.ts';
import { SigningKeys } from '../../src/tenants/signing-keys.ts';
import {
  freshTenant,
  heardAll,
  type Installation,
  openInstallation,
  password,
  rejection,
} from './fixture.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await openInstallation();
});
afterAll(() => installation?.stop());

let addresses = 0;
/** An address nobody has failed from. */
function freshAddress(): string {
  addresses++;
  return `10.1.${addresses >> 8}.${addresses & 255}`;
}

class WrongPasswords extends Passwords {
  override async matches() {
    return false;
  }
}

class BusyPasswords extends Passwords {
  override async matches(): Promise<boolean> {
    throw new OverloadedError('Too many.', { retryAfterMs: 1 });
  }
}

/** Sessions on the same database that check passwords in a way of their own, with limits of their own. */
function sessionsWith(passwords: Passwords): Sessions {
  const { database, notifications, clock } = installation;
  return new Sessions({
    database,
    credentials: new Credentials(database, notifications),
    passwords,
    tokens: new AccessTokens(new SigningKeys(database, notifications, clock), clock),
    rateLimiter: new MemoryRateLimiter(clock),
    clock,
  });
}

async function accepted(token: string): Promise<boolean> {
  return installation.authenticator.authenticate(`Bearer ${token}`, '192.0.2.1').then(
    () => true,
    () => false,
  );
}

describe('signing in', () => {
  test('answers tokens whoever the case of the address is in', async () => {
    const { email } = await freshTenant(installation);
    const session = await installation.sessions.signIn(` ${email.toUpperCase()} `, password, freshAddress());
    expect(await accepted(session.token)).toBe(true);
    expect(session.refreshToken).toMatch(/^fovr_[0-9a-f-]{36}_[A-Za-z0-9]{43}$/);
    expect(session.refreshExpiresAt.getTime() - installation.clock.now()).toBe(30 * 24 * 3600 * 1000);
    const { rows } = await installation.superuser.query(
      'SELECT session::text AS row FROM session WHERE id = $1',
      [session.principal.sessionId],
    );
    expect(rows[0].row).not.toContain(session.refreshToken.slice(-43));
  });

  test('says the same of a wrong password, an unknown address, a disabled member, and text of any length', async () => {
    const { email } = await freshTenant(installation);
    const disabled = await freshTenant(installation);
    await installation.superuser.query('UPDATE member SET disabled_at = now() WHERE email = $1', [
      disabled.email,
    ]);
    const attempts: [string, string][] = [
      [email, 'wrong password here'],
      [email, ''],
      [email, `${password} `],
      [email, 'x'.repeat(1 << 20)],
      ['nobody@example.com', password],
      ['', password],
      ['a\0b@example.com', password],
      [`${'x'.repeat(1 << 20)}@example.com`, password],
      [disabled.email, password],
      ["' OR 1=1 --", password],
    ];
    const messages = new Set<string>();
    for (const [address, text] of attempts) {
      const error = await rejection(installation.sessions.signIn(address, text, freshAddress()));
      expect(error).toBeInstanceOf(UnauthenticatedError);
      messages.add(error.message);
    }
    expect(messages.size).toBe(1);
  });

  test('clears the member’s expired sessions away, and no other', async () => {
    const { email, principal } = await freshTenant(installation);
    const first = await installation.sessions.signIn(email, password, freshAddress());
    installation.clock.advance(24 * 3600 * 1000);
    const second = await installation.sessions.signIn(email, password, freshAddress());
    installation.clock.advance(30 * 24 * 3600 * 1000 - 1);
    const third = await installation.sessions.signIn(email, password, freshAddress());
    const { rows } = await installation.superuser.query('SELECT id FROM session WHERE tenant_id = $1', [
      principal.tenant.id,
    ]);
    expect(new Set(rows.map(({ id }) => id))).toEqual(
      new Set([second, third].map((s) => s.principal.sessionId)),
    );
    expect(await rejection(installation.sessions.refresh(first.refreshToken))).toBeInstanceOf(
      UnauthenticatedError,
    );
  });
});

describe('failed sign-ins', () => {
  test('are limited per e-mail address and client network, until time has passed; the owner elsewhere is let in', async () => {
    const { email } = await freshTenant(installation);
    const address = freshAddress();
    const attempt = (text: string) => installation.sessions.signIn(email, text, address);
    for (let i = 0; i < 10; i++)
      expect(await rejection(attempt('wrong'))).toBeInstanceOf(UnauthenticatedError);
    const error = await rejection(attempt(password));
    expect(error).toBeInstanceOf(RateLimitedError);
    expect((await installation.sessions.signIn(email, password, freshAddress())).principal.name).toBe(email);
    const { retryAfterMs } = (error as RateLimitedError).extensions as { retryAfterMs: number };
    installation.clock.advance(retryAfterMs);
    expect((await attempt(password)).principal.name).toBe(email);
  });

  test('are limited per e-mail address over all networks, but far above what one person mistypes', async () => {
    const { email } = await freshTenant(installation);
    const sessions = sessionsWith(new WrongPasswords());
    for (let i = 0; i < 300; i++)
      expect(await rejection(sessions.signIn(email, 'wrong', freshAddress()))).toBeInstanceOf(
        UnauthenticatedError,
      );
    const address = freshAddress();
    expect(await rejection(sessions.signIn(email, password, address))).toBeInstanceOf(RateLimitedError);
  });

  test('that are refused take no points of any other limit', async () => {
    const { email } = await freshTenant(installation);
    const other = await freshTenant(installation);
    const address = freshAddress();
    for (let i = 0; i < 10; i++) await rejection(installation.sessions.signIn(email, 'wrong', address));
    for (let i = 0; i < 60; i++) {
      const error = await rejection(installation.sessions.signIn(email, 'wrong', address));
      expect(error).toBeInstanceOf(RateLimitedError);
    }
    expect((await installation.sessions.signIn(other.email, password, address)).principal.name).toBe(
      other.email,
    );
  });

  test('are limited per client address, over e-mail addresses that exist or not', async () => {
    const address = freshAddress();
    const attempt = (email: string) => installation.sessions.signIn(email, password, address);
    for (let i = 0; i < 50; i++)
      expect(await rejection(attempt(`n${i}@x.example`))).toBeInstanceOf(UnauthenticatedError);
    const { email } = await freshTenant(installation);
    expect(await rejection(attempt(email))).toBeInstanceOf(RateLimitedError);
    expect((await installation.sessions.signIn(email, password, freshAddress())).principal.name).toBe(email);
  });

  test('cannot slip through together', async () => {
    const { email } = await freshTenant(installation);
    const address = freshAddress();
    const attempts = await Promise.all(
      Array.from({ length: 30 }, () => rejection(installation.sessions.signIn(email, 'wrong', address))),
    );
    expect(attempts.filter((error) => error instanceof UnauthenticatedError)).toHaveLength(10);
    expect(attempts.filter((error) => error instanceof RateLimitedError)).toHaveLength(20);
  });

  test('do not count where nobody had the time to try them', async () => {
    const { email } = await freshTenant(installation);
    const address = freshAddress();
    const sessions = sessionsWith(new BusyPasswords());
    for (let i = 0; i < 60; i++)
      expect(await rejection(sessions.signIn(email, password, address))).toBeInstanceOf(OverloadedError);
  });

  test('alone count: signing in rightly does not use the limit up', async () => {
    const { email } = await freshTenant(installation);
    const address = freshAddress();
    for (let i = 0; i < 12; i++) await installation.sessions.signIn(email, password, address);
  });
});

describe('refreshing', () => {
  test('answers a new pair and slides the expiry; the member stays who it is', async () => {
    const { email } = await freshTenant(installation);
    const first = await installation.sessions.signIn(email, password, freshAddress());
    installation.clock.advance(29 * 24 * 3600 * 1000);
    const second = await installation.sessions.refresh(first.refreshToken);
    expect(await accepted(first.token)).toBe(false);
    expect(await accepted(second.token)).toBe(true);
    expect(second.principal).toEqual(first.principal);
    expect(second.refreshToken).not.toBe(first.refreshToken);
    installation.clock.advance(29 * 24 * 3600 * 1000);
    const third = await installation.sessions.refresh(second.refreshToken);
    expect(await accepted(third.token)).toBe(true);
  });

  test('is refused after 30 days', async () => {
    const { email } = await freshTenant(installation);
    const { refreshToken } = await installation.sessions.signIn(email, password, freshAddress());
    installation.clock.advance(30 * 24 * 3600 * 1000);
    expect(await rejection(installation.sessions.refresh(refreshToken))).toBeInstanceOf(UnauthenticatedError);
  });

  test('with a token used before ends the session, for the thief and the robbed alike', async () => {
    const { email } = await freshTenant(installation);
    const first = await installation.sessions.signIn(email, password, freshAddress());
    const other = await installation.sessions.signIn(email, password, freshAddress());
    const second = await installation.sessions.refresh(first.refreshToken);
    expect(await accepted(second.token)).toBe(true);
    expect(await rejection(installation.sessions.refresh(first.refreshToken))).toBeInstanceOf(
      UnauthenticatedError,
    );
    expect(await accepted(second.token)).toBe(false);
    expect(await rejection(installation.sessions.refresh(second.refreshToken))).toBeInstanceOf(
      UnauthenticatedError,
    );
    expect(await accepted(other.token)).toBe(true);
  });

  test('many times at once: one wins', async () => {
    const { email } = await freshTenant(installation);
    const { refreshToken } = await installation.sessions.signIn(email, password, freshAddress());
    const other = await installation.startProcess();
    try {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, i) => (i % 2 ? other : installation).sessions.refresh(refreshToken)),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const { rows } = await installation.superuser.query('SELECT revoked_at FROM session WHERE id = $1', [
        refreshToken.slice(5, 41),
      ]);
      expect(rows[0].revoked_at).not.toBeNull();
    } finally {
      await other.stop();
    }
  });

  test('is refused for a disabled member', async () => {
    const { email, tenant } = await freshTenant(installation);
    const { refreshToken } = await installation.sessions.signIn(email, password, freshAddress());
    await installation.superuser.query('UPDATE member SET disabled_at = now() WHERE email = $1', [email]);
    await installation.notifications.publish('fovea_changed', `tenant:${tenant.id}`);
    await heardAll(installation);
    expect(await rejection(installation.sessions.refresh(refreshToken))).toBeInstanceOf(UnauthenticatedError);
  });

  test.each([
    '',
    'fovr_',
    `fovr_${randomUUID()}_${'a'.repeat(43)}`,
    `fovr_${randomUUID()}_short`,
    'x'.repeat(1 << 16),
  ])('garbage is refused', async (token) => {
    expect(await rejection(installation.sessions.refresh(token))).toBeInstanceOf(UnauthenticatedError);
  });
});

describe('signing out', () => {
  test('ends this session at once, and no other', async () => {
    const { email } = await freshTenant(installation);
    const session = await installation.sessions.signIn(email, password, freshAddress());
    const other = await installation.sessions.signIn(email, password, freshAddress());
    expect(await accepted(session.token)).toBe(true);
    await installation.sessions.signOut(session.principal);
    expect(await accepted(session.token)).toBe(false);
    expect(await rejection(installation.sessions.refresh(session.refreshToken))).toBeInstanceOf(
      UnauthenticatedError,
    );
    expect(await accepted(other.token)).toBe(true);
  });

  test('is not for API keys', async () => {
    const { principal, secret } = await freshTenant(installation);
    expect(await rejection(installation.sessions.signOut(principal))).toBeInstanceOf(BadUserInputError);
    expect(await accepted(secret)).toBe(true);
  });
});
