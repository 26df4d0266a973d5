import { expect, onTestFinished, test } from 'vitest';
import { OperatorError } from '../../src/lib/errors.ts';
import { initialise } from '../../src/tenants/first-boot.ts';
import { generateApiKey } from '../../src/tenants/key-format.ts';
import { Passwords } from '../../src/tenants/passwords.ts';
import { SCOPES } from '../../src/tenants/types.ts';
import { type Installation, openInstallation, password, rejection } from './fixture.ts';

async function emptyInstallation(): Promise<Installation> {
  const installation = await openInstallation();
  onTestFinished(() => installation.stop());
  return installation;
}

const passwords = new Passwords();
const settings = { tenantName: 'Acme', email: 'Owner@Example.com', password: null, apiKey: null };

test('makes the operator on the largest plan, an owner and a key, and tells their secrets', async () => {
  const { database, authenticator, sessions } = await emptyInstallation();
  const created = await initialise(database, passwords, settings);
  expect(created).toMatchObject({ tenant: 'Acme', email: 'owner@example.com' });

  const key = await authenticator.authenticate(`Bearer ${created!.apiKey}`, '192.0.2.1');
  expect(key?.tenant).toMatchObject({ id: created!.tenantId, name: 'Acme', isOperator: true });
  expect(key?.tenant.plan).toMatchObject({ name: 'Scale', monthlyUnits: null });
  expect([...key!.scopes]).toEqual(SCOPES);

  const { principal } = await sessions.signIn('owner@example.com', created!.password!, '192.0.2.1');
  expect([...principal.scopes]).toEqual(SCOPES);
});

test('takes password and key as given, and does not tell the password', async () => {
  const { database, authenticator, sessions } = await emptyInstallation();
  const { text } = generateApiKey();
  const created = await initialise(database, passwords, { ...settings, password, apiKey: text });
  expect(created).toMatchObject({ password: null, apiKey: text });
  expect((await authenticator.authenticate(`Bearer ${text}`, '192.0.2.1'))?.tenant.isOperator).toBe(true);
  expect((await sessions.signIn(settings.email, password, '192.0.2.1')).principal.name).toBe(
    'owner@example.com',
  );
});

test('happens once, however many processes boot at the same moment, and whatever the settings say later', async () => {
  const { database, superuser } = await emptyInstallation();
  const outcomes = await Promise.all(
    [...Array(6).fill('Acme'), 'Other'].map((tenantName) =>
      initialise(database, passwords, { ...settings, tenantName }),
    ),
  );
  expect(outcomes.filter((created) => created !== null)).toHaveLength(1);
  expect(
    await initialise(database, passwords, {
      ...settings,
      tenantName: 'Later',
      apiKey: generateApiKey().text,
    }),
  ).toBeNull();
  const { rows } = await superuser.query(
    'SELECT (SELECT count(*) FROM tenant)::int AS tenants, (SELECT count(*) FROM api_key)::int AS keys',
  );
  expect(rows).toEqual([{ tenants: 1, keys: 1 }]);
});

test('says so where the tenant, its owner or the key was made before by other means', async () => {
  const { database, tenants, apiKeys } = await emptyInstallation();
  const { tenant } = await tenants.create({ name: 'Acme', plan: 'Free', email: 'ann@example.com' });
  const { secret } = await apiKeys.createForTenant(tenant.id, { name: 'k', scopes: ['INFER'] });
  const other = { ...settings, tenantName: 'Other' };
  for (const taken of [settings, { ...other, email: 'Ann@example.com' }, { ...other, apiKey: secret }]) {
    const error = await rejection(initialise(database, passwords, taken));
    expect(error).toBeInstanceOf(OperatorError);
    expect(error.message).toContain('before the first start');
    expect(error.message).not.toContain(secret);
  }
  expect(await initialise(database, passwords, other)).not.toBeNull();
});

test.each([
  ['an address', { email: 'nobody' }, /nobody/],
  ['a short password', { password: 'short' }, /12/],
  ['a blank tenant name', { tenantName: ' ' }, /name/],
  ['a key of the wrong form', { apiKey: 'fov_x' }, /fov_/],
])('refuses %s that cannot be, and leaves nothing behind', async (_, fault, message) => {
  const { database, superuser } = await emptyInstallation();
  const error = await rejection(initialise(database, passwords, { ...settings, ...fault }));
  expect(error).toBeInstanceOf(OperatorError);
  expect(error.message).toMatch(message);
  expect((await superuser.query('SELECT 1 FROM tenant')).rows).toEqual([]);
  expect(await initialise(database, passwords, settings)).not.toBeNull();
});
