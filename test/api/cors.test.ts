import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { chromium, openSite } from '../support/browser.ts';
import { runCommand } from '../support/command-line.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';
import { createUpload, picture } from '../support/uploaded.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const [mine, theirs, nobodys] = ['https://mine.example', 'https://theirs.example', 'https://nobody.example'];

async function setOrigins({ name }: TestTenant, ...origins: string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await runCommand(
    server,
    ...['tenants', 'set-origins', '--name', name, '--origins', origins.join(','), '--json'],
  );
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ name, allowedOrigins: origins });
}

/** What a browser asks before it lets a page of `origin` send. */
async function preflight(path: string, origin: string | null) {
  const { status, headers } = await fetch(`${server.url}${path}`, {
    method: 'OPTIONS',
    headers: {
      ...(origin !== null && { origin }),
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  });
  return { status, ...corsOf(headers) };
}

function corsOf(headers: Headers) {
  const cors = [...headers].filter(([name]) => name.startsWith('access-control-'));
  return { vary: headers.get('vary'), cors: Object.fromEntries(cors) };
}

async function send(
  credential: string | null,
  origin: string | null,
  body: object = { query: '{ viewer { principal } }' },
) {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(credential !== null && { authorization: `Bearer ${credential}` }),
      ...(origin !== null && { origin }),
    },
    body: JSON.stringify(body),
  });
  const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
  const { status, headers } = response;
  return { status, code: errors?.[0]?.extensions.code ?? null, ...corsOf(headers) };
}

const readableBy = (origin: string) => ({
  vary: 'Origin',
  cors: {
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'retry-after, x-request-id',
  },
});
const unreadable = { vary: 'Origin', cors: {} };

describe('what a page of another origin may read', () => {
  let tenant: TestTenant;
  let other: TestTenant;
  beforeAll(async () => {
    [tenant, other] = [await server.createTenant(), await server.createTenant()];
    await setOrigins(tenant, mine);
    await setOrigins(other, theirs, 'http://localhost:3000');
    await vi.waitUntil(
      async () => (await send(other.key, theirs)).cors['access-control-allow-origin'] === theirs,
      { timeout: 10_000 },
    );
  });

  it.each(['/graphql', '/uploads/an-upload?secret=x'])(
    'a preflight to %s lets an origin of any tenant send, and no other',
    async (path) => {
      for (const origin of [mine, theirs, 'http://localhost:3000']) {
        expect(await preflight(path, origin)).toEqual({
          status: 204,
          vary: 'Origin',
          cors: {
            ...readableBy(origin).cors,
            'access-control-allow-methods': 'GET, POST, PUT',
            'access-control-allow-headers':
              'authorization, content-type, x-request-id, apollo-require-preflight, x-apollo-operation-name',
            'access-control-max-age': '600',
          },
        });
      }
      for (const origin of [nobodys, `${mine}.evil.example`, 'http://mine.example', 'null', '*', null])
        expect(await preflight(path, origin)).toEqual({ status: 204, ...unreadable });
    },
  );

  it('an answer is for the pages of its own tenant’s origins', async () => {
    expect(await send(tenant.key, mine)).toMatchObject({ status: 200, code: null, ...readableBy(mine) });
    for (const origin of [theirs, nobodys, null])
      expect(await send(tenant.key, origin)).toEqual({ status: 200, code: null, ...unreadable });
    expect(await send(other.key, theirs)).toMatchObject(readableBy(theirs));
    expect(await send(other.key, mine)).toMatchObject(unreadable);
  });

  it('cookies are never asked for', async () => {
    for (const { cors } of [await preflight('/graphql', mine), await send(tenant.key, mine)])
      expect(cors).not.toHaveProperty('access-control-allow-credentials');
  });

  it('errors are too: of the tenant where it is known', async () => {
    const tooMany = { query: '{ models(first: 101) { totalCount } }' };
    const refused = { query: 'mutation { createClientToken(input: { ttlSeconds: 0 }) { token } }' };
    for (const body of [tooMany, refused, { query: '{ nonsense' }, { query: '{ nonsense }' }]) {
      const answer = await send(tenant.key, mine, body);
      expect(answer.code).not.toBeNull();
      expect(answer).toMatchObject(readableBy(mine));
      expect(await send(tenant.key, theirs, body)).toMatchObject(unreadable);
    }
  });

  it('of a body that is too large, and of points that are used up', async () => {
    const small = await server.createTenant({ plan: 'Free' });
    await setOrigins(small, mine);
    await vi.waitUntil(
      async () => (await send(small.key, mine)).cors['access-control-allow-origin'] === mine,
      {
        timeout: 10_000,
      },
    );
    const huge = { query: `{ viewer { principal } } #${'x'.repeat(65_000_000)}` };
    expect(await send(small.key, mine, huge)).toMatchObject({ status: 413, ...readableBy(mine) });
    const listed = { query: '{ models(first: 60) { totalCount } }' };
    const answers = await Promise.all([1, 2, 3].map(() => send(small.key, mine, listed)));
    expect(answers).toContainEqual({ status: 429, code: 'RATE_LIMITED', ...readableBy(mine) });
  });

  it('of nobody: the pages of any tenant’s origins', async () => {
    for (const [credential, code] of [
      ['fov_nobodys', 'UNAUTHENTICATED'],
      ['a.b.c', 'UNAUTHENTICATED'],
      [null, 'UNAUTHENTICATED'],
    ] as const) {
      for (const origin of [mine, theirs])
        expect(await send(credential, origin)).toEqual({ status: 401, code, ...readableBy(origin) });
      expect(await send(credential, nobodys)).toEqual({ status: 401, code, ...unreadable });
    }
  });

  it('of an upload: the pages of any tenant’s origins', async () => {
    const { url } = await createUpload(tenant.client);
    const put = (origin: string) => fetch(url, { method: 'PUT', headers: { origin }, body: picture });
    expect(corsOf((await put(nobodys)).headers)).toEqual(unreadable);
    expect(corsOf((await put(mine)).headers)).toEqual(readableBy(mine));
  });

  it('nothing besides: the page for people, health and metrics', async () => {
    for (const path of ['/', '/health/live', '/metrics']) {
      const { headers } = await fetch(`${server.url}${path}`, { headers: { origin: mine } });
      expect(corsOf(headers).cors).toEqual({});
    }
  });
});

describe('the command tenants set-origins', () => {
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await server.createTenant();
  });

  it('is heard of by a running server, also where the list is cleared', async () => {
    const origin = 'https://changing.example';
    const allowed = async () =>
      (await send(tenant.key, origin)).cors['access-control-allow-origin'] === origin;
    const preflighted = async () => 'access-control-max-age' in (await preflight('/graphql', origin)).cors;
    expect([await allowed(), await preflighted()]).toEqual([false, false]);
    await setOrigins(tenant, origin);
    await vi.waitUntil(async () => (await allowed()) && (await preflighted()), { timeout: 10_000 });
    await setOrigins(tenant);
    await vi.waitUntil(async () => !(await allowed()) && !(await preflighted()), { timeout: 10_000 });
  });

  it('refuses what is no origin, and names whom it does not know', async () => {
    const run = (name: string, origins: string) =>
      runCommand(server, 'tenants', 'set-origins', '--name', name, '--origins', origins);
    expect(await run(tenant.name, 'https://app.example/')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('without a path'),
    });
    expect(await run('nobody', 'https://app.example')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('"nobody"'),
    });
  });
});

describe('what a page could send without asking first is refused', () => {
  const query = '{ __typename }';
  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', null])(
    'a POST of the type %s',
    async (type) => {
      for (const origin of [nobodys, mine, null]) {
        const response = await fetch(`${server.url}/graphql`, {
          method: 'POST',
          headers: { ...(type !== null && { 'content-type': type }), ...(origin !== null && { origin }) },
          body: new TextEncoder().encode(JSON.stringify({ query })),
        });
        expect(response.status).toBe(400);
        expect(await response.text()).not.toContain('"data"');
      }
    },
  );

  it('a GET without a header of its own', async () => {
    const url = `${server.url}/graphql?${new URLSearchParams({ query })}`;
    for (const origin of [nobodys, mine, null]) {
      const headers: Record<string, string> = origin === null ? {} : { origin };
      const simple = await fetch(url, { headers });
      expect(simple.status).toBe(400);
      expect(await simple.text()).toContain('CSRF');
      const asked = await fetch(url, { headers: { ...headers, 'apollo-require-preflight': '1' } });
      expect(await asked.json()).toMatchObject({ data: { __typename: 'Query' } });
    }
  });
});

describe.skipIf(chromium === null)('in a browser (needs Chromium)', () => {
  const script = (token: string) => `
    const response = await fetch(${JSON.stringify(`${server.url}/graphql`)}, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer ${token}' },
      body: JSON.stringify({
        query: 'mutation($input: ClassifyInput!) { classify(input: $input) { results { ... on Classification { labels { label } } } } }',
        variables: { input: { model: 'shapes', topK: 1, images: { base64: '${examplePicture()}' } } },
      }),
    });
    return { answer: await response.json(), id: response.headers.get('x-request-id') };`;

  it('a page of an allowed origin classifies by a token for it; a page of another cannot', async () => {
    const tenant = await server.createTenant();
    const [site, evil] = [await openSite(), await openSite()];
    await setOrigins(tenant, site.origin);
    await vi.waitUntil(
      async () => (await send(tenant.key, site.origin)).cors['access-control-allow-origin'] === site.origin,
      { timeout: 10_000 },
    );
    const { createClientToken } = await tenant.client.data<{ createClientToken: { token: string } }>(
      'mutation($input: CreateClientTokenInput!) { createClientToken(input: $input) { token } }',
      { input: { origins: [site.origin], models: ['shapes'], maxUnits: 10 } },
    );
    expect(await site.run(script(createClientToken.token))).toMatchObject({
      answer: { data: { classify: { results: [{ labels: [{ label: 'red circle' }] }] } } },
      id: expect.any(String),
    });
    expect(await evil.run(script(createClientToken.token))).toMatch(/^TypeError: Failed to fetch/);
    // Not for want of a right: the key has every one, and still no page of that origin reads what it is answered.
    expect(await evil.run(script(tenant.key))).toMatch(/^TypeError: Failed to fetch/);
    const { quota } = await tenant.client.data<{ quota: { used: number } }>('{ quota { used } }');
    expect(quota.used).toBe(1);
  }, 120_000);
});
