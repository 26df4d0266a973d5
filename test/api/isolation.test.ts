import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSchema } from '../../src/graphql/schema.ts';
import { tenantTables } from '../db/table-faults.ts';
import type { GraphqlClient } from '../support/graphql-client.ts';
import { markedSlope } from '../support/oriented-pictures.ts';
import { examplePicture } from '../support/server.ts';
import { type Inhabitant, openTwoTenants, type TwoTenants } from '../support/two-tenants.ts';
import { upload } from '../support/uploaded.ts';

let scene: TwoTenants;
let mine: Inhabitant;
let theirs: Inhabitant;
beforeAll(async () => {
  scene = await openTwoTenants();
  ({ mine, theirs } = scene);
});
afterAll(() => scene.close());

const image = { base64: examplePicture() };
const hour = 3_600_000;
const now = { from: new Date(Date.now() - hour), to: new Date(Date.now() + hour) };
const nobodys = '01890000-0000-7000-8000-000000000001';

/** Every row of a tenant, but for when its keys were used last. */
async function rowsOf({ id }: Inhabitant): Promise<Record<string, unknown[]>> {
  const all: Record<string, unknown[]> = {};
  for (const { name, owner } of await tenantTables(scene.superuser)) {
    const { rows } = await scene.superuser.query(
      `SELECT to_jsonb(t) - 'last_used_at' AS row FROM ${name} t WHERE ${owner} = $1 ORDER BY t::text`,
      [id],
    );
    all[name] = rows.map(({ row }) => row);
  }
  return all;
}

/** What an answer says, in a form in which anything of theirs could be found. */
function expectNothingOfTheirs(answer: unknown): void {
  const text = JSON.stringify(answer);
  const { id, name, email, keyId, twinId, ownId, ownName, firstRequestId, uploadId, marker } = theirs;
  const ids = [id, keyId, twinId, ownId, firstRequestId, uploadId];
  for (const secret of [...ids, name, email, ownName, marker, ...theirs.labels])
    expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
}

/** Sees that what is theirs is answered as what was never there. */
async function expectUnknown(document: string, id: string): Promise<void> {
  const kind = id.split('_')[0];
  const about = await mine.client.send(document, { id });
  const unknown = await mine.client.send(document, { id: `${kind}_${nobodys}` });
  expect(about.data).toBeNull();
  expect(about.errors).toHaveLength(1);
  expect(about.errors[0]!.extensions.code).toBe('NOT_FOUND');
  expect(about.errors[0]!.message).toBe(unknown.errors[0]!.message);
}

/** Sees that a model of theirs reads as one that nobody has, whatever task it is for. */
async function expectNoModelOfTheirs(task: 'classify' | 'detect' | 'segment'): Promise<void> {
  const [their, unknown] = [
    await mine.client[task]({ model: theirs.ownName, images: image }),
    await mine.client[task]({ model: 'no-such-model', images: image }),
  ];
  expect(their.errors[0]!.extensions.code).toBe('NOT_FOUND');
  expect(their.errors[0]!.message).toBe(unknown.errors[0]!.message.replace('no-such-model', theirs.ownName));
}

async function markedImage(): Promise<{ base64: string }> {
  const { file } = await markedSlope({ width: 320, height: 240 }, 1, 'png');
  return { base64: file.toString('base64') };
}

async function expectWorks(client: GraphqlClient, { id }: Inhabitant): Promise<void> {
  const { viewer } = await client.data<{ viewer: { tenant: { id: string } } }>(
    '{ viewer { tenant { id name } principal } }',
  );
  expect(viewer.tenant.id).toBe(`tenant_${id}`);
}

const listed = (client: GraphqlClient, list: 'models' | 'apiKeys', after: string | null = null) =>
  client.data<Record<string, { totalCount: number; edges: { cursor: string; node: { id: string } }[] }>>(
    `query($after: String) { ${list}(first: 100, after: $after) { totalCount edges { cursor node { id name } } } }`,
    { after },
  );

/** Sees that a list is of mine (and of public things), wherever in theirs it is entered. */
async function expectOwnList(list: 'models' | 'apiKeys', ids: readonly string[]): Promise<void> {
  const { [list]: own } = await listed(mine.client, list);
  expect(own!.edges.map(({ node }) => node.id)).toEqual(expect.arrayContaining([...ids]));
  expect(own!.totalCount).toBe(own!.edges.length);
  expectNothingOfTheirs(own);
  const { [list]: other } = await listed(theirs.client, list);
  for (const { cursor } of other!.edges) expectNothingOfTheirs(await listed(mine.client, list, cursor));
}

const sum = (rows: readonly { units: number }[]) => rows.reduce((total, { units }) => total + units, 0);

/** For each field at the root of the schema: that it shows and changes nothing of another tenant. */
const cases: Record<string, () => Promise<void>> = {
  async viewer() {
    for (const client of [mine.client, mine.member]) {
      await expectWorks(client, mine);
      expectNothingOfTheirs(await client.send('{ viewer { principal tenant { id name } } }'));
    }
  },

  async node() {
    const node = 'query($id: ID!) { node(id: $id) { __typename id } }';
    for (const id of [`tenant_${mine.id}`, mine.keyId, mine.twinId, mine.ownId])
      expect(await mine.client.data(node, { id })).toMatchObject({ node: { id } });
    for (const id of [`tenant_${theirs.id}`, theirs.keyId, theirs.twinId, theirs.ownId])
      expect(await mine.client.data(node, { id })).toEqual({ node: null });
  },

  async model() {
    const model =
      'query($name: String!, $version: Int) { model(name: $name, version: $version) { id labels } }';
    for (const version of [null, 1]) {
      expect(await mine.client.data(model, { name: theirs.ownName, version })).toEqual({ model: null });
      expect(await mine.client.data(model, { name: 'twin', version })).toEqual({
        model: { id: mine.twinId, labels: mine.labels },
      });
    }
  },

  async models() {
    await expectOwnList('models', [mine.twinId, mine.ownId]);
  },

  async apiKeys() {
    await expectOwnList('apiKeys', [mine.keyId]);
    const { apiKeys } = await mine.client.data<{
      apiKeys: { edges: { node: { usage: { units: number } } }[] };
    }>(
      `query($from: DateTime!, $to: DateTime!) {
        apiKeys(includeRevoked: true) { edges { node { usage(from: $from, to: $to) { units } } } }
      }`,
      now,
    );
    expect(sum(apiKeys.edges.map(({ node }) => node.usage))).toBe(await unitsOf(mine));
  },

  async usage() {
    const { usage } = await mine.client.data<{ usage: { units: number; apiKeyId: string }[] }>(
      `query($from: DateTime!, $to: DateTime!) {
        usage(from: $from, to: $to, bucket: HOUR, groupBy: [API_KEY, MODEL]) { units apiKeyId model }
      }`,
      now,
    );
    expect(sum(usage)).toBe(await unitsOf(mine));
    expectNothingOfTheirs(usage);
  },

  async quota() {
    const { quota } = await mine.client.data<{ quota: { used: number } }>('{ quota { used } }');
    expect(quota.used).toBe(await unitsOf(mine));
  },

  async invoicePreview() {
    const { invoicePreview } = await mine.client.data<{ invoicePreview: { lines: { units: number }[] } }>(
      '{ invoicePreview { lines { units } } }',
    );
    expect(sum(invoicePreview.lines)).toBe(await unitsOf(mine));
  },

  async classify() {
    await expectNoModelOfTheirs('classify');
    const twin = await mine.client.classify({ model: 'twin', images: image });
    const [result] = twin.data!.classify.results;
    expect(result && 'labels' in result && result.labels.map(({ label }) => label).sort()).toEqual(
      mine.labels,
    );

    // The key is theirs and so is the input: were it shared, this would be their answer.
    const { receipt } = (await mine.client.classify(theirs.keyed)).data!.classify;
    expect(receipt).toMatchObject({ replayed: false, units: theirs.units });
    expect(receipt.requestId).not.toBe(theirs.firstRequestId);
    const again = (await theirs.client.classify(theirs.keyed)).data!.classify.receipt;
    expect(again).toMatchObject({ replayed: true, requestId: theirs.firstRequestId });
  },

  async detect() {
    await expectNoModelOfTheirs('detect');
    const images = await markedImage();
    const { results } = (await mine.client.detect({ model: 'finder', images })).data!.detect;
    expect(results).toMatchObject([{ objects: [{ label: mine.marker }] }]);
    expectNothingOfTheirs(results);
  },

  async segment() {
    await expectNoModelOfTheirs('segment');
    const images = await markedImage();
    const { results } = (await mine.client.segment({ model: 'cutter', images })).data!.segment;
    expect(results).toMatchObject([{ segments: [{ label: mine.marker }] }]);
    expectNothingOfTheirs(results);
  },

  async createUpload() {
    const uploadId = await upload(mine.client);
    const images = [theirs.uploadId, nobodys, uploadId, mine.uploadId].map((uploadId) => ({ uploadId }));
    const { results } = (await mine.client.classify({ images })).data!.classify;
    const [their, unknown, ...own] = results;
    expect(their).toMatchObject({ code: 'FETCH_FAILED' });
    expect(their).toEqual(unknown);
    for (const result of own) expect(result).toHaveProperty('labels');
  },

  async createClientToken() {
    const { createClientToken } = await mine.client.data<{ createClientToken: { token: string } }>(
      'mutation { createClientToken(input: { maxUnits: 5, models: ["shapes"] }) { token } }',
    );
    for (const visitor of [mine.visitor, mine.client.as(createClientToken.token)]) {
      await expectWorks(visitor, mine);
      expectNothingOfTheirs(await visitor.send('{ viewer { principal tenant { id name } } }'));
      // Spent from mine, whatever theirs has left.
      expect((await visitor.classify({ images: Array(5).fill(image) })).errors).toEqual([]);
      expect((await visitor.classify({ images: image })).errors[0]!.extensions.code).toBe('FORBIDDEN');
    }
  },

  async createApiKey() {
    const { createApiKey } = await mine.client.data<{ createApiKey: { secret: string } }>(
      'mutation { createApiKey(input: { name: "another" }) { secret } }',
    );
    await expectWorks(mine.client.as(createApiKey.secret), mine);
  },

  async rotateApiKey() {
    await expectUnknown('mutation($id: ID!) { rotateApiKey(id: $id) { secret } }', theirs.keyId);
    await expectWorks(theirs.client, theirs);
  },

  async revokeApiKey() {
    await expectUnknown('mutation($id: ID!) { revokeApiKey(id: $id) { id } }', theirs.keyId);
    await expectWorks(theirs.client, theirs);
  },

  async signIn() {
    const signIn = `mutation($input: SignInInput!) {
      signIn(input: $input) { token viewer { principal tenant { id name } } }
    }`;
    const wrong = await mine.client.send(signIn, {
      input: { email: theirs.email, password: mine.password },
    });
    expect(wrong.errors[0]!.extensions.code).toBe('UNAUTHENTICATED');
    const { email, password } = mine;
    const right = await mine.client.data<{ signIn: { token: string } }>(signIn, {
      input: { email, password },
    });
    expectNothingOfTheirs(right);
    await expectWorks(mine.client.as(right.signIn.token), mine);
  },

  async refresh() {
    const { refresh } = await theirs.client.data<{ refresh: { token: string } }>(
      'mutation($token: String!) { refresh(refreshToken: $token) { token } }',
      { token: mine.refreshToken },
    );
    // Whoever sends it: it is the token's tenant that is refreshed.
    await expectWorks(mine.client.as(refresh.token), mine);
  },

  async signOut() {
    expect(await mine.member.data('mutation { signOut }')).toEqual({ signOut: true });
    await expectWorks(theirs.member, theirs);
  },
};

async function unitsOf({ id }: Inhabitant): Promise<number> {
  const { rows } = await scene.superuser.query(
    'SELECT sum(units)::int AS units FROM usage_event WHERE tenant_id = $1',
    [id],
  );
  return rows[0].units;
}

const schema = createSchema();
const rootFields = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap(
  (type) => Object.keys(type?.getFields() ?? {}),
);

describe('nothing of another tenant is shown or changed', () => {
  it.each(rootFields)('by %s', async (field) => {
    const check = cases[field];
    if (!check) throw new Error(`${field} has no case here: say how it keeps tenants apart`);
    const before = await rowsOf(theirs);
    await check();
    expect(await rowsOf(theirs)).toEqual(before);
  });
});
