import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.close());

const codes = (answer: { errors: readonly { extensions: Record<string, unknown> }[] }) =>
  answer.errors.map(({ extensions }) => extensions.code);
const month = 'from: "2020-01-01T00:00:00Z", to: "2020-02-01T00:00:00Z"';

interface Keys {
  apiKeys: {
    totalCount: number;
    pageInfo: { hasNextPage: boolean; endCursor: string | null };
    edges: { cursor: string; node: { id: string; name: string } }[];
  };
}

test('a viewer is its tenant, its plan and its scopes in the contract’s order', async () => {
  const tenant = await server.createTenant({ plan: 'Free', scopes: ['USAGE_READ', 'INFER'] });
  const { viewer } = await tenant.client.data<{ viewer: unknown }>(
    '{ viewer { principal scopes tenant { id name plan { name monthlyUnits hardLimit burst } } } }',
  );
  expect(viewer).toEqual({
    principal: 'key test',
    scopes: ['INFER', 'USAGE_READ'],
    tenant: {
      id: `tenant_${tenant.id}`,
      name: tenant.name,
      plan: { name: 'Free', monthlyUnits: expect.any(Number), hardLimit: true, burst: expect.any(Number) },
    },
  });
});

describe('ids', () => {
  const node = 'query ($id: ID!) { node(id: $id) { __typename id } }';

  test('of a tenant, a model and a key lead back to it, for its tenant alone', async () => {
    const [mine, theirs] = [await server.createTenant(), await server.createTenant()];
    const { models } = await mine.client.data<{ models: { edges: { node: { id: string } }[] } }>(
      '{ models { edges { node { id } } } }',
    );
    const { apiKeys } = await mine.client.data<Keys>('{ apiKeys { edges { node { id } } } }');
    const own = [`tenant_${mine.id}`, apiKeys.edges[0]!.node.id];
    const shared = models.edges[0]!.node.id;

    for (const id of [...own, shared]) {
      expect((await mine.client.data<{ node: unknown }>(node, { id })).node).toEqual({
        __typename: expect.stringMatching(/^(Tenant|ApiKey|Model)$/),
        id,
      });
    }
    for (const id of own) expect(await theirs.client.data(node, { id })).toEqual({ node: null });
    expect(await theirs.client.data(node, { id: shared })).toMatchObject({ node: { id: shared } });
  });

  test.each([
    '',
    'x',
    'key_',
    'key_1',
    'user_01890000-0000-7000-8000-000000000001',
    'key_01890000-0000-7000-8000-000000000001',
  ])('that were never given out lead nowhere: %j', async (id) => {
    expect(await server.operator.data(node, { id })).toEqual({ node: null });
    expect(
      codes(await server.operator.send('mutation ($id: ID!) { revokeApiKey(id: $id) { id } }', { id })),
    ).toEqual(['NOT_FOUND']);
  });
});

describe('API keys', () => {
  const create =
    'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id scopes } } }';
  interface Created {
    createApiKey: { secret: string; apiKey: { id: string; scopes: string[] } };
  }

  test('are made, used, rotated, revoked and listed', async () => {
    const { client } = await server.createTenant();
    const { createApiKey } = await client.data<Created>(create, { input: { name: 'second' } });
    expect(createApiKey.apiKey.scopes).toEqual(['INFER']);
    const second = client.as(createApiKey.secret);
    expect(await second.data('{ viewer { principal } }')).toEqual({ viewer: { principal: 'key second' } });

    const { rotateApiKey } = await client.data<{ rotateApiKey: Created['createApiKey'] }>(
      'mutation ($id: ID!) { rotateApiKey(id: $id) { secret apiKey { id scopes } } }',
      { id: createApiKey.apiKey.id },
    );
    expect((await second.send('{ __typename }')).status).toBe(401);
    expect((await client.as(rotateApiKey.secret).send('{ __typename }')).status).toBe(200);

    await client.data('mutation ($id: ID!) { revokeApiKey(id: $id) { revokedAt } }', {
      id: rotateApiKey.apiKey.id,
    });
    expect((await client.as(rotateApiKey.secret).send('{ __typename }')).status).toBe(401);
    const listed = (revoked: boolean) =>
      client.data<Keys>(`{ apiKeys(includeRevoked: ${revoked}) { totalCount } }`);
    expect((await listed(false)).apiKeys.totalCount).toBe(1);
    expect((await listed(true)).apiKeys.totalCount).toBe(3);
  });

  test('are paged: every one once, newest first', async () => {
    const { client } = await server.createTenant();
    for (const name of ['a', 'b', 'c']) await client.data(create, { input: { name } });
    const names: string[] = [];
    let after: string | null = null;
    for (let more = true; more; ) {
      const { apiKeys }: Keys = await client.data<Keys>(
        'query ($after: String) { apiKeys(first: 2, after: $after) { totalCount pageInfo { hasNextPage endCursor } edges { cursor node { name } } } }',
        { after },
      );
      expect(apiKeys.totalCount).toBe(4);
      expect(apiKeys.pageInfo.endCursor).toBe(apiKeys.edges.at(-1)?.cursor);
      names.push(...apiKeys.edges.map(({ node }) => node.name));
      ({ hasNextPage: more, endCursor: after } = apiKeys.pageInfo);
    }
    expect(names).toEqual(['c', 'b', 'a', 'test']);
  });

  test('a cursor of another’s making is BAD_USER_INPUT', async () => {
    for (const list of ['apiKeys', 'models']) {
      expect(codes(await server.operator.send(`{ ${list}(after: "x") { totalCount } }`))).toEqual([
        'BAD_USER_INPUT',
      ]);
    }
  });
});

test('a member signs in, refreshes and signs out', async () => {
  const { email, password, id } = await server.createTenant();
  const nobody = new GraphqlClient(server.url, null);
  const session = '{ token refreshToken expiresAt refreshExpiresAt viewer { principal tenant { id } } }';
  type Session = Record<'token' | 'refreshToken', string>;

  const { signIn } = await nobody.data<{ signIn: Session }>(
    `mutation ($input: SignInInput!) { signIn(input: $input) ${session} }`,
    { input: { email, password } },
  );
  expect(signIn).toMatchObject({ viewer: { principal: email, tenant: { id: `tenant_${id}` } } });
  const { refresh } = await nobody.data<{ refresh: Session }>(
    `mutation ($token: String!) { refresh(refreshToken: $token) ${session} }`,
    { token: signIn.refreshToken },
  );
  const member = nobody.as(refresh.token);
  expect(await member.data('mutation { signOut }')).toEqual({ signOut: true });
  expect((await member.send('{ __typename }')).status).toBe(401);

  const refused = await nobody.send(`mutation ($input: SignInInput!) { signIn(input: $input) ${session} }`, {
    input: { email, password: 'wrong' },
  });
  expect([refused.status, codes(refused)]).toEqual([401, ['UNAUTHENTICATED']]);
});

test('what was classified is on the receipt, in the quota, in usage by key, and on the preview of the bill', async () => {
  const { client } = await server.createTenant();
  const { data } = await client.classify({
    images: [{ base64: examplePicture() }, { base64: 'AAAA' }],
    topK: 1,
  });
  expect(data?.classify.results).toEqual([
    expect.objectContaining({
      __typename: 'Classification',
      labels: [expect.objectContaining({ label: 'red circle' })],
    }),
    { __typename: 'ImageError', code: 'UNSUPPORTED_FORMAT', message: expect.any(String) },
  ]);
  const { units } = data!.classify.receipt;
  const booked = await client.data<{
    quota: unknown;
    usage: { apiKeyId: string }[];
    invoicePreview: unknown;
  }>(`{
    quota { used reserved limit }
    usage(from: "2020-01-01T00:00:00Z", to: "2040-01-01T00:00:00Z", bucket: MONTH, groupBy: [API_KEY, COMPRESSION]) {
      apiKeyId compression model units images errors
    }
    invoicePreview { lines { units } }
  }`);
  expect(booked).toMatchObject({
    quota: { used: units, reserved: 0, limit: null },
    usage: [
      {
        apiKeyId: expect.stringMatching(/^key_/),
        compression: 'NONE',
        model: null,
        units,
        images: 1,
        errors: 1,
      },
    ],
  });
  const { node } = await client.data<{ node: { usage: unknown } }>(
    `query ($id: ID!) { node(id: $id) { ... on ApiKey { usage(${month.replaceAll('2020-02', '2040-01')}) { apiKeyId units } } } }`,
    { id: booked.usage[0]!.apiKeyId },
  );
  expect(node.usage).toEqual({ apiKeyId: booked.usage[0]!.apiKeyId, units });
});

test('a model is found by its name, with and without its version', async () => {
  const { byName, byVersion, other } = await server.operator.data<
    Record<string, { id: string; isPublic: boolean } | null>
  >(`{
    byName: model(name: "shapes") { id isPublic }
    byVersion: model(name: "shapes", version: 1) { id isPublic }
    other: model(name: "shapes", version: 2) { id isPublic }
  }`);
  expect(byName).toEqual({ id: expect.stringMatching(/^model_/), isPublic: true });
  expect(byVersion).toEqual(byName);
  expect(other).toBeNull();
});
