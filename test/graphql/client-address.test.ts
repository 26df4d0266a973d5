import { expect, test } from 'vitest';
import { clientAddress } from '../../src/graphql/client-address.ts';
import { MemoryRateLimiter } from '../../src/tenants/rate-limiter.ts';
import { readAnswer, startTransport } from './transport-server.ts';

test.each([
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
  ['not an address', 'unknown'],
  [undefined, 'unknown'],
])('%s is %s', (remote, address) => {
  expect(clientAddress(remote)).toBe(address);
});

/** How many points are left to an anonymous caller that says it was forwarded for `address`. */
async function remainingFor(url: string, address: string): Promise<unknown> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
    body: JSON.stringify({ query: '{ __typename }' }),
  });
  const { body } = await readAnswer(response);
  const { remaining } = body.extensions!.cost as { remaining: number };
  return remaining;
}

// The clock stands still: what is left tells whose allowance was charged.
const stopped = { now: () => 0, elapsed: () => 0 };

test('who a request was forwarded for is believed of nobody by default', async () => {
  const { url } = await startTransport({}, { rateLimiter: new MemoryRateLimiter(stopped) });
  expect(await remainingFor(url, '192.0.2.1')).toBe(63);
  expect(await remainingFor(url, '192.0.2.2')).toBe(62);
});

test('behind a trusted proxy each has its own allowance, and a subscriber’s IPv6 network one together', async () => {
  const { url } = await startTransport(
    { trustProxy: 'loopback' },
    { rateLimiter: new MemoryRateLimiter(stopped) },
  );
  expect(await remainingFor(url, '192.0.2.1')).toBe(63);
  expect(await remainingFor(url, '192.0.2.2')).toBe(63);
  expect(await remainingFor(url, '2001:db8:1:2::1')).toBe(63);
  expect(await remainingFor(url, '2001:db8:1:2:3::9')).toBe(62);
  expect(await remainingFor(url, '2001:db8:1:3::1')).toBe(63);
});
