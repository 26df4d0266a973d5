import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NotFoundError, OperatorError } from '../../src/lib/errors.ts';
import { freshTenant, type Installation, openInstallation, rejection } from './fixture.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await openInstallation();
});
afterAll(() => installation?.stop());

describe('creating a tenant', () => {
  test('with an address makes an owner whose password is told once', async () => {
    const { tenants, sessions } = installation;
    const created = await tenants.create({ name: 'Northwind', plan: 'Free', email: 'Ann@northwind.example' });
    expect(created.tenant).toMatchObject({
      name: 'Northwind',
      isOperator: false,
      plan: { name: 'Free', hardLimit: true },
    });
    expect(created.member?.email).toBe('ann@northwind.example');
    const { principal } = await sessions.signIn('ann@northwind.example', created.password!, '192.0.2.1');
    expect(principal.memberId).toBe(created.member?.id);
  });

  test('without one makes no member', async () => {
    const { tenants } = installation;
    expect(await tenants.create({ name: 'Empty', plan: 'Free' })).toMatchObject({
      member: null,
      password: null,
    });
  });

  test('takes the plan’s newest version', async () => {
    await installation.superuser.query(
      `INSERT INTO plan SELECT gen_random_uuid(), 'Versioned', v, 10 * v, true, 1, 64, 1, 1, 'usd', 0, 0, 0.0000001, now()
         FROM unnest(ARRAY[2, 10, 1]) AS v`,
    );
    const { tenant } = await installation.tenants.create({ name: 'New', plan: 'Versioned' });
    expect(tenant.plan).toMatchObject({ version: 10, monthlyUnits: 100, unitAmountDecimal: '0.0000001' });
  });

  test.each([
    ['an unknown plan', { plan: 'Gold' }, /Gold.*Free, Pro, Scale/],
    ['a blank name', { name: ' ' }, /name/],
    ['a name of 201 characters', { name: 'x'.repeat(201) }, /201/],
    ['no address', { email: 'a b@c' }, /a b@c/],
  ])('refuses %s', async (_, fault, message) => {
    const error = await rejection(
      installation.tenants.create({ name: `t-${randomUUID()}`, plan: 'Free', ...fault }),
    );
    expect(error).toBeInstanceOf(OperatorError);
    expect(error.message).toMatch(message);
  });

  test('refuses a name or an address that is taken, and makes nothing then', async () => {
    const { tenant, email } = await freshTenant(installation);
    const name = `t-${randomUUID()}`;
    const { tenants } = installation;
    expect(await rejection(tenants.create({ name: tenant.name, plan: 'Free' }))).toBeInstanceOf(
      OperatorError,
    );
    expect(await rejection(tenants.create({ name, plan: 'Free', email }))).toBeInstanceOf(OperatorError);
    expect(await tenants.byName(name)).toBeNull();
  });
});

describe('finding a tenant', () => {
  test('by its name, or by its id', async () => {
    const { tenant } = await freshTenant(installation);
    expect(await installation.tenants.byName(tenant.name)).toEqual(tenant);
    expect(await installation.tenants.record(tenant.id)).toEqual(tenant);
    expect(await installation.tenants.byName('nobody')).toBeNull();
    expect(await rejection(installation.tenants.record(randomUUID()))).toBeInstanceOf(NotFoundError);
  });
});

describe('changing the plan', () => {
  test('of a tenant that is not there is refused, and so is a plan that is not', async () => {
    const { tenant } = await freshTenant(installation);
    expect((await installation.tenants.setPlan(tenant.id, 'Scale')).plan.name).toBe('Scale');
    expect(await rejection(installation.tenants.setPlan(randomUUID(), 'Free'))).toBeInstanceOf(NotFoundError);
    expect(await rejection(installation.tenants.setPlan(tenant.id, 'Gold'))).toBeInstanceOf(OperatorError);
  });
});
