import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { RateLimitedError, UnauthenticatedError } from '../../src/lib/errors.ts';
import { generateApiKey } from '../../src/tenants/key-format.ts';
import {
  freshTenant,
  heardAll,
  type Installation,
  makeKey,
  openInstallation,
  password,
  rejection,
  withOtherSecret,
} from './fixture.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await openInstallation();
});
afterAll(() => installation?.stop());

describe('a valid credential', () => {
  test('a key stands for its tenant, with its own scopes', async () => {
    const { tenant, apiKey, secret } = await freshTenant(installation, { scopes: ['USAGE_READ', 'INFER'] });
    const principal = await installation.authenticator.authenticate(`Bearer ${secret}`, '192.0.2.1');
    expect(principal).toEqual({
      tenant,
      scopes: new Set(['INFER', 'USAGE_READ']),
      apiKeyId: apiKey.id,
      memberId: null,
      sessionId: null,
      name: 'key first',
      restriction: null,
    });
    expect(principal?.tenant.plan).toMatchObject({
      name: 'Pro',
      monthlyUnits: 1_000_000,
      unitAmountDecimal: '0.008',
    });
  });

  test('an access token stands for its member, with the scopes of its role', async () => {
    const { tenant, email } = await freshTenant(installation);
    const { token, principal } = await installation.sessions.signIn(email, password, '192.0.2.1');
    expect(await installation.authenticator.authenticate(`Bearer ${token}`, '192.0.2.1')).toEqual(principal);
    expect(principal).toMatchObject({ tenant, apiKeyId: null, name: email });
    expect(principal.memberId).not.toBeNull();
    expect(principal.scopes.has('BILLING')).toBe(true);
    expect(principal.scopes.has('ADMIN')).toBe(false);
  });

  test.each(['bearer', 'BEARER', 'Bearer  '])('the scheme may be written %o', async (scheme) => {
    const { apiKey, secret } = await freshTenant(installation);
    const principal = await installation.authenticator.authenticate(`${scheme} ${secret} `, '192.0.2.1');
    expect(principal?.apiKeyId).toBe(apiKey.id);
  });

  test('no header is nobody', async () => {
    expect(await installation.authenticator.authenticate(undefined, '192.0.2.1')).toBeNull();
  });
});

describe('a refusal', () => {
  test('says the same whatever is wrong', async () => {
    const { secret, principal, tenant } = await freshTenant(installation);
    const { apiKeys } = installation;
    const revoked = await apiKeys.create(principal, { name: 'revoked', scopes: ['INFER'] });
    await apiKeys.revoke(principal, revoked.apiKey.id);
    const expiring = await apiKeys.create(principal, {
      name: 'expiring',
      scopes: ['INFER'],
      expiresAt: new Date(installation.clock.now() + 1),
    });
    installation.clock.advance(1);
    const rotated = await apiKeys.create(principal, { name: 'rotated', scopes: ['INFER'] });
    await apiKeys.rotate(principal, rotated.apiKey.id, 0);

    const headers = {
      empty: '',
      'scheme alone': 'Bearer',
      'scheme and a space': 'Bearer ',
      'another scheme': `Basic ${secret}`,
      'no scheme': secret,
      'two credentials': `Bearer ${secret} ${secret}`,
      'a key cut short': `Bearer ${secret.slice(0, -1)}`,
      'a mistyped key': `Bearer ${secret.replace(/.$/, (last) => (last === '0' ? '1' : '0'))}`,
      'an unknown key': `Bearer ${generateApiKey().text}`,
      'a wrong secret': `Bearer ${withOtherSecret(secret)}`,
      'a revoked key': `Bearer ${revoked.secret}`,
      'an expired key': `Bearer ${expiring.secret}`,
      'a rotated key': `Bearer ${rotated.secret}`,
      'no token at all': 'Bearer x',
      'three dots': 'Bearer ...',
      'a megabyte': `Bearer ${'a'.repeat(1 << 20)}`,
      'the short id alone': `Bearer fov_${secret.slice(4, 12)}`,
    };
    const errors = new Map<string, Error>();
    for (const [what, header] of Object.entries(headers)) {
      errors.set(what, await rejection(installation.authenticator.authenticate(header, '192.0.2.1')));
    }
    for (const [what, error] of errors) {
      expect(error, what).toBeInstanceOf(UnauthenticatedError);
      expect(error.message, what).toBe(errors.get('empty')?.message);
      expect(error.message, what).not.toContain(tenant.name);
    }
  });

  test('of a mistyped key costs no look-up, of an unknown one a single one', async () => {
    await heardAll(installation);
    const presenting = vi.spyOn(installation.database, 'presenting');
    const unknown = generateApiKey().text;
    const mistyped = unknown.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    for (let i = 0; i < 5; i++)
      await rejection(installation.authenticator.authenticate(`Bearer ${mistyped}`, '192.0.2.1'));
    expect(presenting).toHaveBeenCalledTimes(0);
    for (let i = 0; i < 5; i++)
      await rejection(installation.authenticator.authenticate(`Bearer ${unknown}`, '192.0.2.1'));
    expect(presenting).toHaveBeenCalledTimes(1);
    presenting.mockRestore();
  });

  test('of unknown keys is rate-limited per network, before they are looked up, and known keys are not', async () => {
    const { secret } = await freshTenant(installation);
    const other = await installation.startProcess(); // knows no key yet, and nobody has failed there
    try {
      await heardAll(other);
      const presenting = vi.spyOn(other.database, 'presenting');
      const present = (key: string, address: string) =>
        other.authenticator.authenticate(`Bearer ${key}`, address);
      for (let i = 0; i < 64; i++)
        expect(await rejection(present(generateApiKey().text, '198.51.100.7'))).toBeInstanceOf(
          UnauthenticatedError,
        );
      expect(presenting).toHaveBeenCalledTimes(64);
      const error = await rejection(present(generateApiKey().text, '198.51.100.7'));
      expect(error).toBeInstanceOf(RateLimitedError);
      expect((error as RateLimitedError).extensions).toEqual({ retryAfterMs: 100 });
      expect(presenting).toHaveBeenCalledTimes(64);

      expect(await present(secret, '198.51.100.8')).not.toBeNull();
      expect(await present(secret, '198.51.100.7')).not.toBeNull(); // is remembered now
    } finally {
      await other.stop();
    }
  });

  test('is what is paid for: looking up keys that are there takes nothing', async () => {
    const { principal } = await freshTenant(installation);
    for (let i = 0; i < 70; i++) {
      const { secret } = await installation.apiKeys.create(principal, { name: 'k', scopes: ['INFER'] });
      expect(
        await installation.authenticator.authenticate(`Bearer ${secret}`, '198.51.100.9'),
      ).not.toBeNull();
    }
  });

  test('comes with the moment of expiry, not with the next look-up', async () => {
    const { principal } = await freshTenant(installation);
    const expiresAt = new Date(installation.clock.now() + 10_000);
    const { secret } = await installation.apiKeys.create(principal, {
      name: 'k',
      scopes: ['INFER'],
      expiresAt,
    });
    installation.clock.advance(9_999);
    await installation.authenticator.authenticate(`Bearer ${secret}`, '192.0.2.1');
    installation.clock.advance(1);
    expect(
      await rejection(installation.authenticator.authenticate(`Bearer ${secret}`, '192.0.2.1')),
    ).toBeInstanceOf(UnauthenticatedError);
  });

  test('is not remembered against a key that is made later', async () => {
    const { tenant } = await freshTenant(installation);
    const { text } = generateApiKey();
    await rejection(installation.authenticator.authenticate(`Bearer ${text}`, '192.0.2.1'));
    await makeKey(installation, tenant.id, text);
    await heardAll(installation);
    expect((await installation.authenticator.authenticate(`Bearer ${text}`, '192.0.2.1'))?.tenant.id).toBe(
      tenant.id,
    );
  });
});
