import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { OperatorError } from '../../src/lib/errors.ts';
import { AllowedOrigins } from '../../src/tenants/allowed-origins.ts';
import { isOrigin } from '../../src/tenants/origin.ts';
import {
  eventually,
  freshTenant,
  heardAll,
  type Installation,
  openInstallation,
  type Process,
  rejection,
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

const good = [
  'https://app.example',
  'http://localhost:3000',
  'http://127.0.0.1:8080',
  'http://[::1]:5173',
  'https://xn--bcher-kva.example',
  'https://under_score.example:8443',
  'capacitor://localhost',
  'chrome-extension://abcdefghijklmnop',
];
const bad = [
  '',
  '*',
  'null',
  'https://',
  'app.example',
  'https://app.example/',
  'https://app.example/path',
  'https://app.example?q',
  'https://App.example',
  'HTTPS://app.example',
  'https://*.example',
  'https://user@app.example',
  'https://app.example https://b.example',
  'https://bücher.example',
  'https://app.example:',
  'https://app.example:123456',
  ` https://app.example`,
  `https://${'a'.repeat(300)}.example`,
  'https://app.example\n',
];
/** What a browser would write otherwise: too fine a point for a constraint of the database. */
const notCanonical = ['https://app.example:443', 'http://app.example:80', 'http://127.1', 'file://host'];

describe('an origin', () => {
  test.each(good)('is %s', (text) => expect(isOrigin(text)).toBe(true));
  test.each([...bad, ...notCanonical])('is not %j', (text) => expect(isOrigin(text)).toBe(false));

  test('is told so by the database too', async () => {
    const areOrigins = async (list: (string | null)[]) => {
      const { rows } = await installation.superuser.query('SELECT fovea_are_origins($1) AS are', [list]);
      return rows[0].are;
    };
    expect(await areOrigins(good)).toBe(true);
    expect(await areOrigins([])).toBe(true);
    for (const wrong of [...bad, null]) expect(await areOrigins([...good, wrong]), `${wrong}`).toBe(false);
  });
});

describe('a tenant’s list', () => {
  test('is set, told once each, and cleared', async () => {
    const { tenant } = await freshTenant(installation);
    expect(tenant.allowedOrigins).toEqual([]);
    const [a, b] = ['https://a.example', 'https://b.example'] as const;
    expect((await installation.tenants.setOrigins(tenant.id, [b, a, b])).allowedOrigins).toEqual([b, a]);
    expect((await installation.tenants.setOrigins(tenant.id, [])).allowedOrigins).toEqual([]);
  });

  test('takes no text that is no origin, and no more than 100', async () => {
    const { tenant } = await freshTenant(installation);
    await installation.tenants.setOrigins(tenant.id, good);
    for (const origins of [
      ['https://app.example/'],
      Array.from({ length: 101 }, (_, n) => `https://a${n}.example`),
    ])
      expect(await rejection(installation.tenants.setOrigins(tenant.id, origins))).toBeInstanceOf(
        OperatorError,
      );
    expect((await installation.tenants.record(tenant.id)).allowedOrigins).toEqual(good);
  });
});

describe('whether any tenant allows an origin', () => {
  const allowed = (origin: string, { origins }: Process = installation, address = '192.0.2.1') =>
    origins.allows(origin, address);

  test('is known in every process, and known anew when it changes', async () => {
    const origin = 'https://changing.example';
    const { tenant } = await freshTenant(installation);
    expect([await allowed(origin), await allowed(origin, other)]).toEqual([false, false]);
    await installation.tenants.setOrigins(tenant.id, [origin, 'https://another.example']);
    for (const process of [installation, other]) await eventually(() => allowed(origin, process));
    await installation.tenants.setOrigins(tenant.id, ['https://another.example']);
    for (const process of [installation, other])
      await eventually(async () => !(await allowed(origin, process)));
  });

  test('is true for as long as one of several does', async () => {
    const origin = 'https://shared.example';
    const [one, two] = [await freshTenant(installation), await freshTenant(installation)];
    for (const { tenant } of [one, two]) await installation.tenants.setOrigins(tenant.id, [origin]);
    await installation.tenants.setOrigins(one.tenant.id, []);
    await heardAll(installation);
    expect(await allowed(origin)).toBe(true);
  });

  test('is asked of the database once, also where nobody does', async () => {
    const origins = ['https://known.example', 'https://unknown.example'];
    const { tenant } = await freshTenant(installation);
    await installation.tenants.setOrigins(tenant.id, origins.slice(0, 1));
    await heardAll(installation);
    for (const origin of origins) await allowed(origin);
    const presenting = vi.spyOn(installation.database, 'presenting');
    for (const origin of origins) await allowed(origin);
    for (const text of bad) expect(await allowed(text)).toBe(false);
    expect(presenting).not.toHaveBeenCalled();
    presenting.mockRestore();
  });

  test('is not asked without end for a network that makes origins up; others are not held up', async () => {
    const { database, notifications, rateLimiter } = installation;
    const process = { ...installation, origins: new AllowedOrigins(database, notifications, rateLimiter) };
    const { tenant } = await freshTenant(installation);
    const [mine, seen] = ['https://mine.example', 'https://seen.example'] as const;
    await installation.tenants.setOrigins(tenant.id, [mine, seen]);
    await heardAll(installation);
    const guesser = '203.0.113.9';
    expect(await allowed(seen, process)).toBe(true);
    const presenting = vi.spyOn(database, 'presenting');
    for (let n = 0; n < 100; n++) await allowed(`https://made-up-${n}.example`, process, guesser);
    expect(presenting.mock.calls.length).toBe(64);
    presenting.mockRestore();
    expect(await allowed(mine, process, guesser)).toBe(false);
    expect(await allowed(seen, process, guesser)).toBe(true);
    expect(await allowed(mine, process)).toBe(true);
  });
});
