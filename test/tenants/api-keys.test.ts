import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BadUserInputError, ForbiddenError, NotFoundError, OperatorError } from '../../src/lib/errors.ts';
import { freshTenant, type Installation, openInstallation, password, rejection } from './fixture.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await openInstallation();
});
afterAll(() => installation?.stop());

async function works(secret: string): Promise<boolean> {
  return installation.authenticator.authenticate(`Bearer ${secret}`, '192.0.2.1').then(
    () => true,
    () => false,
  );
}

describe('creating a key', () => {
  test('answers its secret once; the database holds only what verifies it', async () => {
    const { principal } = await freshTenant(installation);
    const { apiKey, secret } = await installation.apiKeys.create(principal, {
      name: 'web',
      scopes: ['INFER'],
    });
    expect(secret.startsWith(`${apiKey.prefix}_`)).toBe(true);
    expect(apiKey).toMatchObject({
      name: 'web',
      scopes: ['INFER'],
      lastUsedAt: null,
      expiresAt: null,
      revokedAt: null,
    });
    const { rows } = await installation.superuser.query(
      'SELECT api_key::text AS row FROM api_key WHERE id = $1',
      [apiKey.id],
    );
    expect(rows[0].row).not.toContain(secret.slice(13, 56));
    expect(await works(secret)).toBe(true);
  });

  test('remembers who made it: a key or a member', async () => {
    const { principal, email, apiKey: maker } = await freshTenant(installation);
    const { principal: member } = await installation.sessions.signIn(email, password, '192.0.2.1');
    const byKey = await installation.apiKeys.create(principal, { name: 'a', scopes: ['INFER'] });
    const byMember = await installation.apiKeys.create(member, { name: 'b', scopes: ['INFER'] });
    const { rows } = await installation.superuser.query(
      'SELECT created_by_key, created_by_member FROM api_key WHERE id = ANY ($1) ORDER BY name',
      [[byKey.apiKey.id, byMember.apiKey.id]],
    );
    expect(rows).toEqual([
      { created_by_key: maker.id, created_by_member: null },
      { created_by_key: null, created_by_member: member.memberId },
    ]);
  });

  test('gives out no scope that its creator lacks, and names those', async () => {
    const { principal } = await freshTenant(installation, { scopes: ['KEYS_WRITE', 'INFER'] });
    const error = await rejection(
      installation.apiKeys.create(principal, { name: 'wide', scopes: ['INFER', 'BILLING', 'ADMIN'] }),
    );
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain('BILLING, ADMIN');
    expect(error.message).not.toContain('INFER');
  });

  test.each([
    ['an empty name', { name: '' }, /name/],
    ['a blank name', { name: '  ' }, /name/],
    ['101 characters', { name: 'x'.repeat(101) }, /101/],
    ['a NUL in the name', { name: 'a\0b' }, /control/],
    ['no scopes', { scopes: [] }, /scopes/],
    ['an expiry that has passed', { expiresAt: new Date(0) }, /future/],
  ])('refuses %s', async (_, fault, message) => {
    const { principal } = await freshTenant(installation);
    const error = await rejection(
      installation.apiKeys.create(principal, { name: 'k', scopes: ['INFER'], ...fault }),
    );
    expect(error).toBeInstanceOf(BadUserInputError);
    expect(error.message).toMatch(message);
  });

  test('takes 100 characters of any script, and a scope named twice as once', async () => {
    const { principal } = await freshTenant(installation);
    const name = '🦊'.repeat(100);
    const { apiKey } = await installation.apiKeys.create(principal, { name, scopes: ['INFER', 'INFER'] });
    expect(apiKey).toMatchObject({ name, scopes: ['INFER'] });
  });
});

describe('rotating a key', () => {
  test('with grace: both work until it ends, then the new one alone', async () => {
    const { principal } = await freshTenant(installation);
    const old = await installation.apiKeys.create(principal, { name: 'web', scopes: ['INFER', 'BILLING'] });
    expect(await works(old.secret)).toBe(true);
    const made = await installation.apiKeys.rotate(principal, old.apiKey.id, 60);
    expect(made.apiKey).toMatchObject({ name: 'web', scopes: ['INFER', 'BILLING'], expiresAt: null });
    expect(made.apiKey.prefix).not.toBe(old.apiKey.prefix);
    installation.clock.advance(59_999);
    expect([await works(old.secret), await works(made.secret)]).toEqual([true, true]);
    installation.clock.advance(1);
    expect([await works(old.secret), await works(made.secret)]).toEqual([false, true]);
  });

  test('without grace: the old one is refused at once', async () => {
    const { principal } = await freshTenant(installation);
    const old = await installation.apiKeys.create(principal, { name: 'web', scopes: ['INFER'] });
    await works(old.secret);
    const made = await installation.apiKeys.rotate(principal, old.apiKey.id, 0);
    expect([await works(old.secret), await works(made.secret)]).toEqual([false, true]);
    expect((await installation.apiKeys.get(principal, old.apiKey.id))?.revokedAt).not.toBeNull();
  });

  test('keeps the expiry, which grace does not extend', async () => {
    const { principal } = await freshTenant(installation);
    const expiresAt = new Date(installation.clock.now() + 1_000);
    const old = await installation.apiKeys.create(principal, { name: 'web', scopes: ['INFER'], expiresAt });
    const made = await installation.apiKeys.rotate(principal, old.apiKey.id, 3600);
    expect(made.apiKey.expiresAt).toEqual(expiresAt);
    expect((await installation.apiKeys.get(principal, old.apiKey.id))?.expiresAt).toEqual(expiresAt);
  });

  test('is refused for a key that was revoked, has expired, or was rotated before', async () => {
    const { principal } = await freshTenant(installation);
    const { apiKeys, clock } = installation;
    const key = { name: 'k', scopes: ['INFER'] as const };
    const revoked = await apiKeys.create(principal, key);
    await apiKeys.revoke(principal, revoked.apiKey.id);
    const rotated = await apiKeys.create(principal, key);
    await apiKeys.rotate(principal, rotated.apiKey.id, 60);
    const expired = await apiKeys.create(principal, { ...key, expiresAt: new Date(clock.now() + 1) });
    clock.advance(1);
    const before = (await apiKeys.list(principal, { first: 100, after: null, includeRevoked: true }))
      .totalCount;
    for (const { apiKey } of [revoked, rotated, expired]) {
      expect(await rejection(apiKeys.rotate(principal, apiKey.id, 60))).toBeInstanceOf(BadUserInputError);
    }
    const after = (await apiKeys.list(principal, { first: 100, after: null, includeRevoked: true }))
      .totalCount;
    expect(after).toBe(before);
  });

  test('many times at once makes one key', async () => {
    const { principal } = await freshTenant(installation);
    const { apiKey } = await installation.apiKeys.create(principal, { name: 'k', scopes: ['INFER'] });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 4 }, () => installation.apiKeys.rotate(principal, apiKey.id, 60)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const { totalCount } = await installation.apiKeys.list(principal, {
      first: 1,
      after: null,
      includeRevoked: true,
    });
    expect(totalCount).toBe(3);
  });

  test('is refused where the key is wider than the caller, who would get its secret', async () => {
    const { principal, apiKey } = await freshTenant(installation);
    const narrow = await installation.apiKeys.create(principal, { name: 'narrow', scopes: ['KEYS_WRITE'] });
    const caller = await installation.authenticator.authenticate(`Bearer ${narrow.secret}`, '192.0.2.1');
    const error = await rejection(installation.apiKeys.rotate(caller!, apiKey.id, 0));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toContain('BILLING');
  });

  test.each([-1, 604_801, 0.5, Number.NaN])('refuses a grace of %d seconds', async (graceSeconds) => {
    const { principal, apiKey } = await freshTenant(installation);
    const error = await rejection(installation.apiKeys.rotate(principal, apiKey.id, graceSeconds));
    expect(error).toBeInstanceOf(BadUserInputError);
    expect(error.message).toContain('604800');
  });
});

describe('revoking a key', () => {
  test('holds at once; doing it again changes nothing', async () => {
    const { principal } = await freshTenant(installation);
    const { apiKey, secret } = await installation.apiKeys.create(principal, { name: 'k', scopes: ['INFER'] });
    expect(await works(secret)).toBe(true);
    const revoked = await installation.apiKeys.revoke(principal, apiKey.id);
    expect(await works(secret)).toBe(false);
    installation.clock.advance(1000);
    expect(await installation.apiKeys.revoke(principal, apiKey.id)).toEqual(revoked);
  });
});

describe('another tenant’s key', () => {
  test('is as unknown as one that never was', async () => {
    const mine = await freshTenant(installation);
    const theirs = await freshTenant(installation);
    const { apiKeys } = installation;
    const messages = new Set<string>();
    for (const id of [theirs.apiKey.id, randomUUID(), 'no-uuid']) {
      const attempts = [
        () => apiKeys.revoke(mine.principal, id),
        () => apiKeys.rotate(mine.principal, id, 0),
      ];
      for (const attempt of attempts) {
        const error = await rejection(attempt());
        expect(error).toBeInstanceOf(NotFoundError);
        messages.add(error.message);
      }
      expect(await apiKeys.get(mine.principal, id)).toBeNull();
    }
    expect(messages.size).toBe(1);
    expect(await works(theirs.secret)).toBe(true);
  });
});

describe('the list of keys', () => {
  test('runs newest first, a page at a time, without those revoked unless asked', async () => {
    const { principal } = await freshTenant(installation);
    const { apiKeys } = installation;
    const ids: string[] = [];
    for (let i = 0; i < 5; i++)
      ids.unshift((await apiKeys.create(principal, { name: `k${i}`, scopes: ['INFER'] })).apiKey.id);
    await apiKeys.revoke(principal, ids[1]!);

    const first = await apiKeys.list(principal, { first: 2, after: null, includeRevoked: false });
    expect(first.rows.map(({ id }) => id)).toEqual([ids[0], ids[2]]);
    expect(first).toMatchObject({ totalCount: 5, hasNextPage: true });
    const second = await apiKeys.list(principal, { first: 3, after: ids[2]!, includeRevoked: false });
    expect(second.rows.map(({ id }) => id).slice(0, 2)).toEqual([ids[3], ids[4]]);
    expect(second).toMatchObject({ totalCount: 5, hasNextPage: false });
    const all = await apiKeys.list(principal, { first: 100, after: null, includeRevoked: true });
    expect(all).toMatchObject({ totalCount: 6, hasNextPage: false });
    expect(all.rows.find(({ id }) => id === ids[1])?.revokedAt).not.toBeNull();
    expect(JSON.stringify(all)).not.toContain('ecret');
  });

  test('refuses a cursor it never gave out', async () => {
    const { principal } = await freshTenant(installation);
    const list = installation.apiKeys.list(principal, { first: 1, after: 'x', includeRevoked: false });
    expect(await rejection(list)).toBeInstanceOf(BadUserInputError);
  });
});

describe('ADMIN', () => {
  test('is given to no key of a tenant other than the operator’s', async () => {
    const { tenant, principal } = await freshTenant(installation);
    const byCommand = await rejection(
      installation.apiKeys.createForTenant(tenant.id, { name: 'k', scopes: ['INFER', 'ADMIN'] }),
    );
    expect(byCommand).toBeInstanceOf(OperatorError);
    expect(byCommand.message).toContain('cannot hold ADMIN');
    const byOwner = installation.apiKeys.create(principal, { name: 'k', scopes: ['ADMIN'] });
    expect(await rejection(byOwner)).toBeInstanceOf(ForbiddenError);
    const { totalCount } = await installation.apiKeys.list(principal, {
      first: 1,
      after: null,
      includeRevoked: true,
    });
    expect(totalCount).toBe(1);
  });

  test('is given to keys of the operator’s', async () => {
    const created = await installation.firstBoot({
      tenantName: 'Operator',
      email: 'operator@example.com',
      password,
      apiKey: null,
    });
    const { apiKey } = await installation.apiKeys.createForTenant(created!.tenantId, {
      name: 'k',
      scopes: ['ADMIN'],
    });
    expect(apiKey.scopes).toEqual(['ADMIN']);
  });

  test('counts for nothing in a key that has it nevertheless', async () => {
    const { apiKey, secret } = await freshTenant(installation);
    await installation.superuser.query("UPDATE api_key SET scopes = '{INFER,ADMIN}' WHERE id = $1", [
      apiKey.id,
    ]);
    const other = await installation.startProcess(); // has not seen the key before
    try {
      const principal = await other.authenticator.authenticate(`Bearer ${secret}`, '192.0.2.1');
      expect([...principal!.scopes]).toEqual(['INFER']);
    } finally {
      await other.stop();
    }
  });
});

test('a key is made for no tenant that is not there', async () => {
  const made = installation.apiKeys.createForTenant(randomUUID(), { name: 'k', scopes: ['INFER'] });
  expect(await rejection(made)).toBeInstanceOf(NotFoundError);
});
