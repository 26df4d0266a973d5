import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { generateApiKey } from '../../src/tenants/key-format.ts';
import { SigningKeys } from '../../src/tenants/signing-keys.ts';
import {
  eventually,
  freshTenant,
  heardAll,
  type Installation,
  makeKey,
  openInstallation,
  type Process,
  password,
} from './fixture.ts';

let installation: Installation;
let other: Process;
beforeAll(async () => {
  installation = await openInstallation();
  other = await installation.startProcess();
});
afterAll(async () => {
  await other?.stop();
  await installation?.stop();
});

/** How `other`, the process that was not asked to change anything, answers the credential. */
function seenByOther(credential: string) {
  return other.authenticator.authenticate(`Bearer ${credential}`, '192.0.2.1').catch(() => null);
}

/** Has `other` remember who stands behind the credential: what is read while news are on their way is not kept. */
async function rememberedByOther(credential: string) {
  await heardAll(other);
  expect(await seenByOther(credential)).not.toBeNull();
}

test('a process that knows a credential asks the database no more', async () => {
  const { secret, email } = await freshTenant(installation);
  const { token } = await installation.sessions.signIn(email, password, '192.0.2.1');
  await rememberedByOther(secret);
  await rememberedByOther(token);
  const transactions = [vi.spyOn(other.database, 'asTenant'), vi.spyOn(other.database, 'presenting')];
  for (let i = 0; i < 10; i++) {
    expect((await seenByOther(secret))?.apiKeyId).not.toBeNull();
    expect((await seenByOther(token))?.memberId).not.toBeNull();
  }
  // Less the background writing of when the key was last used.
  await other.close();
  expect(transactions[0]!.mock.calls.length).toBeLessThanOrEqual(1);
  expect(transactions[1]).not.toHaveBeenCalled();
  for (const spy of transactions) spy.mockRestore();
});

test('a revoked key is refused elsewhere', async () => {
  const { secret, apiKey, principal } = await freshTenant(installation);
  await rememberedByOther(secret);
  await installation.apiKeys.revoke(principal, apiKey.id);
  await eventually(async () => (await seenByOther(secret)) === null);
});

test('a rotated key is refused elsewhere when its grace ends', async () => {
  const { secret, apiKey, principal } = await freshTenant(installation);
  await rememberedByOther(secret);
  await installation.apiKeys.rotate(principal, apiKey.id, 60);
  expect(await seenByOther(secret)).not.toBeNull();
  installation.clock.advance(60_000);
  await eventually(async () => (await seenByOther(secret)) === null);
});

test('a session that was signed out of is refused elsewhere', async () => {
  const { email } = await freshTenant(installation);
  const { token, principal } = await installation.sessions.signIn(email, password, '192.0.2.1');
  await rememberedByOther(token);
  await installation.sessions.signOut(principal);
  await eventually(async () => (await seenByOther(token)) === null);
});

test('a changed plan holds here at once, and elsewhere for keys and members', async () => {
  const { tenant, secret, email } = await freshTenant(installation, { plan: 'Free' });
  const { token } = await installation.sessions.signIn(email, password, '192.0.2.1');
  for (const credential of [secret, token])
    expect((await seenByOther(credential))?.tenant.plan.name).toBe('Free');
  await installation.tenants.setPlan(tenant.id, 'Scale');
  expect(
    (await installation.authenticator.authenticate(`Bearer ${secret}`, '192.0.2.1'))?.tenant.plan.name,
  ).toBe('Scale');
  for (const credential of [secret, token]) {
    await eventually(async () => (await seenByOther(credential))?.tenant.plan.name === 'Scale');
  }
});

test('a changed role changes what an access token may do, without a new one', async () => {
  const { tenant, email } = await freshTenant(installation);
  const { token } = await installation.sessions.signIn(email, password, '192.0.2.1');
  expect((await seenByOther(token))?.scopes.has('KEYS_WRITE')).toBe(true);
  await installation.superuser.query("UPDATE member SET role = 'BILLING' WHERE email = $1", [email]);
  await installation.notifications.publish('fovea_changed', `tenant:${tenant.id}`);
  await eventually(async () => (await seenByOther(token))?.scopes.has('KEYS_WRITE') === false);
  expect((await seenByOther(token))?.scopes).toEqual(new Set(['USAGE_READ', 'BILLING']));
});

test('a disabled member is refused', async () => {
  const { tenant, email } = await freshTenant(installation);
  const { token } = await installation.sessions.signIn(email, password, '192.0.2.1');
  await rememberedByOther(token);
  await installation.superuser.query('UPDATE member SET disabled_at = now() WHERE email = $1', [email]);
  await installation.notifications.publish('fovea_changed', `tenant:${tenant.id}`);
  await eventually(async () => (await seenByOther(token)) === null);
});

test('a key that was presented before it was made is accepted once it is', async () => {
  const { tenant } = await freshTenant(installation);
  const { text } = generateApiKey();
  expect(await seenByOther(text)).toBeNull();
  await makeKey(installation, tenant.id, text);
  await eventually(async () => (await seenByOther(text)) !== null);
});

test('tokens of a new signing key are accepted elsewhere', async () => {
  const { email } = await freshTenant(installation);
  const before = await installation.sessions.signIn(email, password, '192.0.2.1');
  expect(await seenByOther(before.token)).not.toBeNull();
  const { database, notifications } = installation;
  await new SigningKeys(database, notifications).rotate();
  await heardAll(installation);
  const after = await installation.sessions.signIn(email, password, '192.0.2.1');
  await eventually(async () => (await seenByOther(after.token)) !== null);
  expect(await seenByOther(before.token)).not.toBeNull();
});

test('a revocation that is heard of by nobody holds once the connection for notifications is back', async () => {
  const { secret, apiKey } = await freshTenant(installation);
  await rememberedByOther(secret);
  // As if the process had been cut off while the key was revoked.
  await installation.superuser.query('UPDATE api_key SET revoked_at = now() WHERE id = $1', [apiKey.id]);
  expect(await seenByOther(secret)).not.toBeNull();
  await installation.superuser.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fovea notifications' AND datname = current_database()",
  );
  await eventually(async () => (await seenByOther(secret)) === null);
});
