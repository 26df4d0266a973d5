import { describe, expect, test } from 'vitest';
import { RateLimitedError } from '../../src/lib/errors.ts';
import { MemoryRateLimiter } from '../../src/tenants/rate-limiter.ts';
import { principal, startTransport } from './transport-server.ts';

const uuidv7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const frozen = () => new MemoryRateLimiter({ now: () => 0, elapsed: () => 0 });

test('an executed operation’s response says what it cost, what is left and which request it was', async () => {
  const { execute } = await startTransport({}, { rateLimiter: frozen() });
  const { status, headers, body } = await execute('{ models(first: 29) { totalCount } }');
  expect(status).toBe(200);
  expect(body.extensions).toEqual({
    cost: { requested: 30, limit: 100, remaining: 70, restoreRate: 1 },
    requestId: expect.stringMatching(uuidv7),
  });
  expect(headers.get('x-request-id')).toBe(body.extensions?.requestId);
  expect((await execute('{ quota { used } }')).body.extensions?.cost).toMatchObject({
    requested: 1,
    remaining: 69,
  });
});

test('one that ran and failed says it as well', async () => {
  const { execute } = await startTransport({}, { rateLimiter: frozen() });
  const { body } = await execute(
    '{ usage(from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z") { units } }',
  );
  expect(body.errors).toHaveLength(1);
  expect(body.extensions).toMatchObject({
    cost: { requested: 1, remaining: 99 },
    requestId: expect.any(String),
  });
});

test('no two requests have one id', async () => {
  const { execute } = await startTransport();
  const ids = await Promise.all(
    Array.from({ length: 20 }, async () => (await execute('{ __typename }')).body.extensions?.requestId),
  );
  expect(new Set(ids).size).toBe(20);
});

test('a caller’s own request id is logged where it is sane, and never becomes ours', async () => {
  const { execute, log } = await startTransport();
  const { headers } = await execute('{ __typename }', {}, { 'x-request-id': 'theirs-1' });
  await execute('{ __typename }', {}, { 'x-request-id': 'no "sane" id' });
  expect(headers.get('x-request-id')).toMatch(uuidv7);
  await expect
    .poll(() => log().map(({ callerRequestId }) => callerRequestId))
    .toEqual(['theirs-1', undefined]);
});

describe('rate limits', () => {
  test('what is not left is RATE_LIMITED, with the wait in the error and in Retry-After, and takes nothing', async () => {
    const { execute } = await startTransport({}, { rateLimiter: frozen() });
    await execute('{ models(first: 89) { totalCount } }');
    const { status, headers, body } = await execute('{ models(first: 30) { totalCount } }');
    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBe('21');
    expect(body.data).toBeUndefined();
    expect(body.errors).toEqual([
      {
        message: expect.stringContaining('31 points'),
        extensions: { code: 'RATE_LIMITED', retryAfterMs: 21_000 },
      },
    ]);
    expect(body.extensions?.cost).toEqual({ requested: 31, limit: 100, remaining: 10, restoreRate: 1 });
    expect((await execute('{ models(first: 9) { totalCount } }')).status).toBe(200);
  });

  test('a cost above the burst is QUERY_TOO_COMPLEX and takes nothing', async () => {
    const { execute } = await startTransport({}, { rateLimiter: frozen() });
    const { status, body } = await execute(
      '{ a: models(first: 90) { totalCount } b: models(first: 10) { totalCount } }',
    );
    expect(status).toBe(400);
    expect(body.errors?.map(({ extensions }) => extensions)).toEqual([{ code: 'QUERY_TOO_COMPLEX' }]);
    expect((await execute('{ models(first: 99) { totalCount } }')).status).toBe(200);
  });

  test('a first out of range is BAD_USER_INPUT that names it', async () => {
    const { execute } = await startTransport();
    const { status, body } = await execute('{ models(first: 101) { totalCount } }');
    expect(status).toBe(400);
    expect(body.errors).toEqual([
      { message: 'models: first must be 1 to 100, but is 101.', extensions: { code: 'BAD_USER_INPUT' } },
    ]);
  });

  test('tenants share nothing, and neither do those without a credential', async () => {
    const other = {
      ...principal,
      tenant: { ...principal.tenant, id: '01890000-0000-7000-8000-000000000002' },
    };
    const { execute, anonymously } = await startTransport(
      {},
      {
        rateLimiter: frozen(),
        authenticator: {
          authenticate: async (authorization) => {
            if (authorization === undefined) return null;
            return authorization === 'Bearer other' ? other : principal;
          },
        },
      },
    );
    const most = '{ models(first: 99) { totalCount } }';
    expect((await execute(most)).status).toBe(200);
    expect((await execute(most)).status).toBe(429);
    expect((await execute(most, {}, { authorization: 'Bearer other' })).status).toBe(200);
    const { body } = await anonymously('{ __typename }');
    expect(body.extensions?.cost).toEqual({ requested: 1, limit: 64, remaining: 63, restoreRate: 10 });
  });

  test('documents that never run cost nothing', async () => {
    const { execute } = await startTransport({}, { rateLimiter: frozen() });
    for (const query of ['{', '{ nothing }', 'query a { __typename } query b { __typename }']) {
      const { status, body } = await execute(query);
      expect(status).toBe(400);
      expect(body.extensions).toEqual({ requestId: expect.stringMatching(uuidv7) });
    }
    expect((await execute('{ __typename }')).body.extensions?.cost).toMatchObject({ remaining: 99 });
  });
});

describe('credentials', () => {
  test('a bad one fails any operation, as GraphQL', async () => {
    const { execute } = await startTransport();
    const { status, headers, body } = await execute('{ __typename }', {}, { authorization: 'Bearer bad' });
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe('Bearer');
    expect(body).toEqual({
      errors: [{ message: 'The API key is unknown.', extensions: { code: 'UNAUTHENTICATED' } }],
      extensions: { requestId: expect.stringMatching(uuidv7) },
    });
  });

  test('too many unknown ones from an address are RATE_LIMITED before anything runs', async () => {
    const { execute } = await startTransport(
      {},
      {
        authenticator: {
          authenticate: async (_authorization, clientAddress) => {
            throw new RateLimitedError(`Too many from ${clientAddress}.`, { retryAfterMs: 1500 });
          },
        },
      },
    );
    const { status, headers, body } = await execute('{ __typename }');
    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBe('2');
    expect(body.errors?.[0]?.message).toBe('Too many from 127.0.0.1.');
  });

  test('an authenticator that fails is masked', async () => {
    const { execute, log } = await startTransport(
      {},
      {
        authenticator: {
          authenticate: async () => {
            throw new Error('connection to 10.0.0.1 refused');
          },
        },
      },
    );
    const { status, body } = await execute('{ __typename }');
    expect(status).toBe(500);
    expect(body.errors?.[0]?.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR' });
    expect(JSON.stringify(body)).not.toContain('10.0.0.1');
    expect(JSON.stringify(log())).toContain('10.0.0.1');
  });
});

test('a fault of ours is masked, quotes the request id, and is logged with it', async () => {
  const { execute, log } = await startTransport(
    {},
    {
      ledger: {
        quota: async () => {
          throw new Error('relation "quota_counter" does not exist');
        },
      },
    },
  );
  const { status, body } = await execute('{ quota { used } }');
  const requestId = body.extensions?.requestId;
  expect(status).toBe(500);
  expect(body.data).toBeNull();
  expect(body.errors).toEqual([
    {
      message: `Something went wrong; quote request id ${requestId}.`,
      locations: expect.any(Array),
      path: ['quota'],
      extensions: { code: 'INTERNAL_SERVER_ERROR' },
    },
  ]);
  expect(log()).toContainEqual(
    expect.objectContaining({
      level: 50,
      requestId,
      err: expect.objectContaining({
        message: expect.stringContaining('quota_counter'),
        stack: expect.any(String),
      }),
    }),
  );
});

test('a request leaves one line, without variables and credentials', async () => {
  const { execute, log } = await startTransport();
  await execute('query Mine($name: String!) { model(name: $name) { id } }', { name: 'private-name' });
  await expect.poll(() => log()).toHaveLength(1);
  expect(log()[0]).toMatchObject({
    level: 30,
    operation: 'Mine',
    tenant: principal.tenant.id,
    status: 200,
    codes: [],
    cost: 1,
    durationMs: expect.any(Number),
    requestId: expect.stringMatching(uuidv7),
  });
  expect(JSON.stringify(log())).not.toMatch(/private-name|good/);
});

test('no more of an operation’s name is logged than tells which it was', async () => {
  const { execute, log } = await startTransport();
  const { status } = await execute(`query ${'x'.repeat(1_000_000)} { __typename }`);
  expect(status).toBe(200);
  await expect.poll(() => log()).toHaveLength(1);
  expect(log()[0]?.operation).toBe('x'.repeat(100));
});
