import jwt from 'jsonwebtoken';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { Ledger } from '../../src/metering/ledger.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { openServer } from '../support/open-server.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';

let server: TestServer;
/** Turned ahead by a test that has something expire. */
let aheadMs = 0;
let tenant: TestTenant;
beforeAll(async () => {
  server = await startServer({}, { clock: { ...systemClock, now: () => Date.now() + aheadMs } });
});
afterAll(() => server.close());
beforeEach(async () => {
  tenant = await server.createTenant();
});

const image = { base64: examplePicture() };
const page = 'https://app.example';
const mutation =
  'mutation($input: CreateClientTokenInput!) { createClientToken(input: $input) { token expiresAt } }';

async function mint(input: Record<string, unknown> = {}): Promise<GraphqlClient> {
  const { createClientToken } = await tenant.client.data<{ createClientToken: { token: string } }>(mutation, {
    input,
  });
  return tenant.client.as(createClientToken.token);
}

/** What a caller is refused with: the code, the message, and the HTTP status. */
async function refusal(answer: ReturnType<GraphqlClient['send']>) {
  const { status, data, errors } = await answer;
  // A field that may be null is, where it is refused.
  expect(Object.values(data ?? {}).filter((value) => value !== null)).toEqual([]);
  return `${status} ${errors[0]?.extensions.code}: ${errors[0]?.message}`;
}

const classify = (client: GraphqlClient, input: Record<string, unknown> = {}, origin?: string) =>
  client.classify({ images: image, ...input }, origin === undefined ? {} : { headers: { origin } });

async function signedIn(): Promise<GraphqlClient> {
  const { email, password, client } = tenant;
  const { signIn } = await client.data<{ signIn: { token: string } }>(
    'mutation($input: SignInInput!) { signIn(input: $input) { token } }',
    { input: { email, password } },
  );
  return client.as(signIn.token);
}

async function keyId(): Promise<string> {
  const { apiKeys } = await tenant.client.data<{ apiKeys: { edges: { node: { id: string } }[] } }>(
    '{ apiKeys { edges { node { id } } } }',
  );
  return apiKeys.edges[0]!.node.id;
}

describe('a client token', () => {
  it('classifies, and what it uses is its key’s', async () => {
    const client = await mint();
    expect((await classify(client)).data?.classify).toMatchObject({
      results: [{ labels: [{ label: 'red circle' }, {}, {}, {}, {}] }],
      receipt: { units: 1 },
    });
    const hour = 3_600_000;
    const { usage } = await tenant.client.data<{ usage: object[] }>(
      'query($from: DateTime!, $to: DateTime!) { usage(from: $from, to: $to, groupBy: [API_KEY]) { apiKeyId units } }',
      { from: new Date(Date.now() - hour), to: new Date(Date.now() + hour) },
    );
    expect(usage).toEqual([{ apiKeyId: await keyId(), units: 1 }]);
  });

  it('is told what it is', async () => {
    const viewer = '{ viewer { principal scopes } }';
    expect(await (await mint()).data(viewer)).toEqual({
      viewer: { principal: 'client token of key test', scopes: ['INFER'] },
    });
    expect(await (await mint({ scopes: ['USAGE_READ', 'MODELS_READ'] })).data(viewer)).toEqual({
      viewer: { principal: 'client token of key test', scopes: ['MODELS_READ', 'USAGE_READ'] },
    });
  });

  it('lives for ten minutes where nothing else is asked for', async () => {
    const { createClientToken } = await tenant.client.data<{
      createClientToken: { token: string; expiresAt: string };
    }>(mutation, { input: {} });
    const { iat, exp } = jwt.decode(createClientToken.token) as { iat: number; exp: number };
    expect(exp - iat).toBe(600);
    expect(new Date(createClientToken.expiresAt).getTime()).toBe(exp * 1000);
  });

  it('sees models, the quota, and with USAGE_READ usage; nothing of keys, members and bills', async () => {
    const client = await mint({ scopes: ['INFER', 'USAGE_READ'] });
    const hour = 'from: "2026-01-01T00:00:00Z", to: "2026-01-01T01:00:00Z"';
    expect(
      await client.data(`{ quota { used } usage(${hour}) { units } model(name: "shapes") { name } }`),
    ).toEqual({ quota: { used: 0 }, usage: [], model: { name: 'shapes' } });
    const id = await keyId();
    for (const document of [
      '{ apiKeys { totalCount } }',
      `{ node(id: "${id}") { id } }`,
      '{ invoicePreview { totalCents } }',
      'mutation { createApiKey(input: { name: "mine" }) { secret } }',
      `mutation { rotateApiKey(id: "${id}") { secret } }`,
      `mutation { revokeApiKey(id: "${id}") { id } }`,
      'mutation { createClientToken(input: {}) { token } }',
      'mutation { signOut }',
    ])
      expect(await refusal(client.send(document)), document).toMatch(
        /^403 FORBIDDEN: \w+ is not for client tokens/,
      );
    expect(await refusal((await mint()).send(`{ usage(${hour}) { units } }`))).toMatch(
      /^403 FORBIDDEN: usage needs the scope USAGE_READ/,
    );
  });
});

describe('minting is refused', () => {
  it('to a member and to nobody', async () => {
    expect(await refusal((await signedIn()).send(mutation, { input: {} }))).toMatch(
      /^403 FORBIDDEN: .*API keys alone/,
    );
    expect(await refusal(tenant.client.as(null).send(mutation, { input: {} }))).toMatch(
      /^401 UNAUTHENTICATED/,
    );
  });

  it('for a scope that the key lacks', async () => {
    const { client } = await server.createTenant({ scopes: ['USAGE_READ'] });
    expect(await refusal(client.send(mutation, { input: {} }))).toMatch(/^403 FORBIDDEN: .*INFER/);
    expect((await client.send(mutation, { input: { scopes: ['USAGE_READ'] } })).errors).toEqual([]);
  });

  it('for input out of bounds', async () => {
    for (const input of [{ ttlSeconds: 3_601 }, { maxUnits: 0 }, { models: [''] }, { origins: ['*'] }])
      expect(await refusal(tenant.client.send(mutation, { input }))).toMatch(/^200 BAD_USER_INPUT/);
  });
});

describe('a token is refused beyond', () => {
  it('its models', async () => {
    const client = await mint({ models: ['shapes@1', 'other'] });
    expect((await classify(client)).errors).toEqual([]);
    expect((await classify(client, { model: 'shapes@1' })).errors).toEqual([]);
    expect(await refusal(classify(await mint({ models: ['other', 'shapes@2'] })))).toMatch(
      /^403 FORBIDDEN: .*shapes/,
    );
    await expectBooked(server, tenant.client, { requests: 2, images: 2, units: 2, errors: 0 });
  });

  it('its units', async () => {
    const client = await mint({ maxUnits: 3 });
    expect((await classify(client, { images: [image, image] })).errors).toEqual([]);
    expect(await refusal(classify(client, { images: [image, image] }))).toMatch(
      /^403 FORBIDDEN: .*costs 2 units, and 1 of/,
    );
    expect((await classify(client)).errors).toEqual([]);
    expect(await refusal(classify(client))).toMatch(/^403 FORBIDDEN: .*0 of/);
    await expectBooked(server, tenant.client, { requests: 2, images: 3, units: 3, errors: 0 });
  });

  it('its origins', async () => {
    const client = await mint({ origins: [page] });
    expect((await classify(client, {}, page)).errors).toEqual([]);
    expect(await refusal(classify(client, {}, 'https://evil.example'))).toMatch(
      /^403 FORBIDDEN: .*https:\/\/evil.example/,
    );
    expect(await refusal(classify(client))).toMatch(/^403 FORBIDDEN: .*no Origin header/);
    await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 1, errors: 0 });
  });

  it('its time', async () => {
    const client = await mint({ ttlSeconds: 60, origins: [page] });
    aheadMs = 61_000;
    try {
      for (const origin of [page, undefined])
        expect(await refusal(classify(client, {}, origin))).toMatch(/^401 UNAUTHENTICATED/);
    } finally {
      aheadMs = 0;
    }
    await expectBooked(server, tenant.client, nothing);
  });

  it('the life of its key', async () => {
    const client = await mint();
    expect((await classify(client)).errors).toEqual([]);
    const member = await signedIn();
    await member.data('mutation($id: ID!) { revokeApiKey(id: $id) { id } }', { id: await keyId() });
    expect(await refusal(classify(client))).toMatch(/^401 UNAUTHENTICATED/);
    await expectBooked(server, member, { requests: 1, images: 1, units: 1, errors: 0 });
  });
});

describe('units that are not billed are the token’s again', () => {
  /** Sees that just so many units are left. */
  async function expectLeft(client: GraphqlClient, units: number): Promise<void> {
    for (let left = units; left > 0; left--) expect((await classify(client)).errors).toEqual([]);
    expect(await refusal(classify(client))).toMatch(/^403 FORBIDDEN: .*0 of/);
  }

  it('of a picture that fails', async () => {
    const client = await mint({ maxUnits: 4 });
    const broken = { base64: Buffer.from('no picture').toString('base64') };
    expect(
      (await classify(client, { images: [broken, image, broken] })).data?.classify.receipt,
    ).toMatchObject({
      units: 1,
    });
    await expectLeft(client, 3);
  });

  it('of an answer that is replayed', async () => {
    const client = await mint({ maxUnits: 3 });
    const keyed = { idempotencyKey: 'once' };
    const first = await classify(client, keyed);
    for (let n = 0; n < 3; n++)
      expect((await classify(client, keyed)).data?.classify.receipt).toMatchObject({
        replayed: true,
        requestId: first.data?.classify.receipt.requestId,
      });
    await expectLeft(client, 2);
  });

  it('that are all spent: an answer is replayed for none', async () => {
    const client = await mint({ maxUnits: 1 });
    const keyed = { idempotencyKey: 'last' };
    await classify(client, keyed);
    expect((await classify(client, keyed)).data?.classify.receipt).toMatchObject({
      replayed: true,
      units: 0,
    });
    expect((await classify(client, {})).errors[0]?.extensions.code).toBe('FORBIDDEN');
    expect(await server.heldUnits()).toBe(0);
  });

  it('that may have been booked are not to be spent again', async () => {
    const client = await mint({ maxUnits: 1 });
    const { commit } = Ledger.prototype;
    // What remains of a connection that breaks between the booking and its answer, and does not come back.
    const losing = vi.spyOn(Ledger.prototype, 'commit').mockImplementationOnce(async function (
      this: Ledger,
      booking,
    ) {
      await commit.call(this, booking);
      throw new Error('Query read timeout');
    });
    onTestFinished(() => losing.mockRestore());
    expect((await classify(client)).errors).toHaveLength(1);
    expect((await classify(client)).errors[0]?.extensions.code).toBe('FORBIDDEN');
    await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 1, errors: 0 });
  });

  it('of a request whose booking is refused', async () => {
    const client = await mint({ maxUnits: 1 });
    const owner = new pg.Client({ connectionString: server.databaseUrl });
    await owner.connect();
    onTestFinished(() => owner.end());
    await owner.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON usage_event FOR EACH ROW
        WHEN (NEW.tenant_id = '${tenant.id}') EXECUTE FUNCTION refuse()`);
    expect((await classify(client)).errors[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR');
    await owner.query('DROP TRIGGER refuse ON usage_event');
    await expectLeft(client, 1);
  });

  it('of a request that fails: no such model, no such argument, no quota, no time', async () => {
    tenant = await server.createTenant({ unitLimit: 2 });
    const client = await mint({ maxUnits: 5 });
    for (const [input, code] of [
      [{ model: 'no-such-model' }, 'NOT_FOUND'],
      [{ topK: 0 }, 'BAD_USER_INPUT'],
      [{ images: Array(3).fill(image) }, 'QUOTA_EXCEEDED'],
    ] as const)
      expect((await classify(client, input)).errors[0]?.extensions.code).toBe(code);
    expect((await classify(client, { images: [image, image] })).errors).toEqual([]);
    const rows = await server.context.database.asTenant(tenant.id, (tx) => tx.clientToken.findMany());
    expect(rows).toMatchObject([{ spent: 2n }]);
  });
});

it('two processes admit exactly maxUnits units of 32 clients at once, and both hear of a revoked key', async () => {
  const { createClientToken } = await tenant.client.data<{ createClientToken: { token: string } }>(mutation, {
    input: { maxUnits: 20 },
  });
  const beside = await openServer(server);
  onTestFinished(() => beside.close());
  const urls = [server.url, beside.url];
  const clients = urls.map((url) => new GraphqlClient(url, createClientToken.token));
  const answers = await Promise.all(Array.from({ length: 32 }, (_, n) => classify(clients[n % 2]!)));
  const codes = answers.map(({ errors }) => errors[0]?.extensions.code ?? 'answered');
  expect(codes.filter((code) => code === 'answered')).toHaveLength(20);
  expect(codes.filter((code) => code === 'FORBIDDEN')).toHaveLength(12);
  await expectBooked(server, tenant.client, { requests: 20, images: 20, units: 20, errors: 0 });

  const viewer = '{ viewer { principal } }';
  expect((await clients[1]!.send(viewer)).errors).toEqual([]);
  await tenant.client.data('mutation($id: ID!) { rotateApiKey(id: $id) { secret } }', { id: await keyId() });
  expect(await refusal(clients[0]!.send(viewer))).toMatch(/^401 UNAUTHENTICATED/);
  await vi.waitUntil(async () => (await clients[1]!.send(viewer)).status === 401, { timeout: 10_000 });
});
