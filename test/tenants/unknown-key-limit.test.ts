import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { RateLimitedError, UnauthenticatedError } from '../../src/lib/errors.ts';
import { anonymousBucket, type Bucket, unknownKeyBucket } from '../../src/tenants/failure-limit.ts';
import { generateApiKey } from '../../src/tenants/key-format.ts';
import {
  freshTenant,
  heardAll,
  type Installation,
  openInstallation,
  type Process,
  rejection,
  withOtherSecret,
} from './fixture.ts';

const shared = '198.51.100.7'; // an address that customers and a stranger send from

let installation: Installation;
let other: Process; // knows no key yet, and nobody has failed there
beforeAll(async () => {
  installation = await openInstallation();
});
afterAll(() => installation?.stop());
beforeEach(async () => {
  other = await installation.startProcess();
});
afterEach(() => other.stop());

function present(key: string, address = shared) {
  return other.authenticator.authenticate(`Bearer ${key}`, address);
}

/** Takes all that the bucket has; time stands still here, so nothing comes back. */
async function drain({ key, limit }: Bucket) {
  expect(await other.rateLimiter.take(key, limit.burst, limit)).toMatchObject({
    admitted: true,
    remaining: 0,
  });
}

/** Has `other` forget what it remembers of a key, as a change of it or of its tenant does. */
async function drop(change: string) {
  await installation.notifications.publish('fovea_changed', change);
  await heardAll(other);
}

test('a key that was valid here is looked up again while its network has no attempts left', async () => {
  const { tenant, secret } = await freshTenant(installation);
  await heardAll(other);
  await present(secret, '192.0.2.1');
  for (let i = 0; i < 64; i++) await rejection(present(generateApiKey().text));
  expect(await rejection(present(generateApiKey().text))).toBeInstanceOf(RateLimitedError);

  await drop(`tenant:${tenant.id}`);
  const presenting = vi.spyOn(other.database, 'presenting');
  expect((await present(secret))?.tenant.id).toBe(tenant.id);
  expect(presenting).toHaveBeenCalledTimes(1);
});

test('a key that was never seen here is refused from such a network, unread, and served from another', async () => {
  const { tenant, secret } = await freshTenant(installation);
  await heardAll(other);
  await drain(unknownKeyBucket(shared));
  const presenting = vi.spyOn(other.database, 'presenting');
  expect(await rejection(present(secret))).toBeInstanceOf(RateLimitedError);
  expect(presenting).not.toHaveBeenCalled();
  expect((await present(secret, '192.0.2.1'))?.tenant.id).toBe(tenant.id);
});

test('whoever knows no more than the short id of a valid key is refused too', async () => {
  const { tenant, secret } = await freshTenant(installation);
  await heardAll(other);
  await present(secret, '192.0.2.1');
  await drain(unknownKeyBucket(shared));
  await drop(`tenant:${tenant.id}`);
  expect(await rejection(present(withOtherSecret(secret)))).toBeInstanceOf(RateLimitedError);
  expect((await present(secret))?.tenant.id).toBe(tenant.id);
});

test('a key that was revoked since is unknown again after one look-up', async () => {
  const { principal, apiKey, secret } = await freshTenant(installation);
  await heardAll(other);
  await present(secret, '192.0.2.1');
  await drain(unknownKeyBucket(shared));
  await installation.apiKeys.revoke(principal, apiKey.id);
  await heardAll(other);
  expect(await rejection(present(secret))).toBeInstanceOf(UnauthenticatedError);
  await drop(`key:${secret.slice(4, 12)}`);
  expect(await rejection(present(secret))).toBeInstanceOf(RateLimitedError);
});

test('a key that has expired since is unknown again', async () => {
  const { principal } = await freshTenant(installation);
  const { secret } = await installation.apiKeys.create(principal, {
    name: 'k',
    scopes: ['INFER'],
    expiresAt: new Date(installation.clock.now() + 1),
  });
  await heardAll(other);
  await present(secret, '192.0.2.1');
  installation.clock.advance(1);
  expect(await rejection(present(secret))).toBeInstanceOf(UnauthenticatedError);
  await drain(unknownKeyBucket(shared));
  await drop(`key:${secret.slice(4, 12)}`);
  expect(await rejection(present(secret))).toBeInstanceOf(RateLimitedError);
});

test('without notifications, when each request is a look-up, any number of requests may come at once', async () => {
  const { tenant, secret } = await freshTenant(installation);
  await present(secret);
  await other.notifications.close();
  expect(other.notifications.connected).toBe(false);
  const principals = await Promise.all(Array.from({ length: 80 }, () => present(secret)));
  for (const principal of principals) expect(principal?.tenant.id).toBe(tenant.id);
});

test('anonymous operations and unknown keys are not paid for by each other', async () => {
  const { tenant, secret } = await freshTenant(installation);
  const anonymous = anonymousBucket(shared);
  await rejection(present(generateApiKey().text));
  await drain(anonymous); // has all its points still
  expect((await present(secret))?.tenant.id).toBe(tenant.id);
});
