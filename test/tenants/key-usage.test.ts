import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { KeyUsage } from '../../src/tenants/key-usage.ts';
import { eventually, freshTenant, type Installation, openInstallation, password } from './fixture.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await openInstallation();
});
afterAll(() => installation?.stop());

test('a use is written by itself, soon after', async () => {
  const { principal, apiKey } = await freshTenant(installation); // which uses the key
  await eventually(async () => (await installation.apiKeys.get(principal, apiKey.id))?.lastUsedAt != null);
});

test('many uses in a minute are one write, over all keys of a tenant', async () => {
  const { principal } = await freshTenant(installation);
  const second = await installation.apiKeys.create(principal, { name: 'second', scopes: ['INFER'] });
  await installation.close();
  const usage = new KeyUsage(installation.database, createLogger('silent'), installation.clock);
  const writes = vi.spyOn(installation.database, 'asTenant');
  for (let i = 0; i < 100; i++) {
    usage.note(principal);
    usage.note({ ...principal, apiKeyId: second.apiKey.id });
  }
  await usage.flush();
  expect(writes).toHaveBeenCalledTimes(1);

  installation.clock.advance(59_999);
  usage.note(principal);
  await usage.flush();
  expect(writes).toHaveBeenCalledTimes(1);

  installation.clock.advance(1);
  usage.note(principal);
  await usage.flush();
  expect(writes).toHaveBeenCalledTimes(2);
  writes.mockRestore();
  expect((await installation.apiKeys.get(principal, principal.apiKeyId!))?.lastUsedAt).toEqual(
    new Date(installation.clock.now()),
  );
  expect((await installation.apiKeys.get(principal, second.apiKey.id))?.lastUsedAt).toEqual(
    new Date(installation.clock.now() - 60_000),
  );
});

test('closing writes what has gathered', async () => {
  const { principal, apiKey } = await freshTenant(installation);
  await installation.close();
  installation.clock.advance(120_000);
  const usage = new KeyUsage(installation.database, createLogger('silent'), installation.clock);
  usage.note(principal);
  await usage.close();
  expect((await installation.apiKeys.get(principal, apiKey.id))?.lastUsedAt).toEqual(
    new Date(installation.clock.now()),
  );
});

test('a refused credential leaves no trace on the key, and members have none', async () => {
  const { principal, email } = await freshTenant(installation);
  const { apiKey, secret } = await installation.apiKeys.create(principal, { name: 'k', scopes: ['INFER'] });
  await installation.apiKeys.revoke(principal, apiKey.id);
  await installation.authenticator.authenticate(`Bearer ${secret}`, '192.0.2.1').catch(() => {});
  const { token } = await installation.sessions.signIn(email, password, '192.0.2.1');
  await installation.authenticator.authenticate(`Bearer ${token}`, '192.0.2.1');
  await installation.close();
  expect((await installation.apiKeys.get(principal, apiKey.id))?.lastUsedAt).toBeNull();
});

test('a database that does not answer is no reason to refuse a request', async () => {
  const { principal } = await freshTenant(installation);
  const broken = { ...installation.database, asTenant: () => Promise.reject(new Error('gone')) };
  const usage = new KeyUsage(broken, createLogger('silent'), installation.clock);
  usage.note(principal);
  await usage.flush();
});
