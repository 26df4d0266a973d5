import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectBooked } from '../support/booked.ts';
import type { GraphqlClient } from '../support/graphql-client.ts';
import { startServer, type TestServer, type TestTenant } from '../support/server.ts';
import { askForUpload, createUpload, picture, put, upload } from '../support/uploaded.ts';
import { ManualClock } from '../tenants/fixture.ts';

const minute = 60_000;
const clock = new ManualClock();
let server: TestServer;
beforeAll(async () => {
  server = await startServer({ FOVEA_TRUST_PROXY: '192.0.2.0/24' }, { clock });
});
afterAll(() => server.close());

function filesOf({ id }: TestTenant): string[] {
  const folder = join(server.dataDir, 'uploads', id);
  return existsSync(folder) ? readdirSync(folder) : [];
}

async function codes(client: GraphqlClient, uploadIds: readonly string[]): Promise<(string | undefined)[]> {
  const images = uploadIds.map((uploadId) => ({ uploadId }));
  const { data, errors } = await client.classify({ images, topK: 1 });
  expect(errors).toEqual([]);
  return data!.classify.results.map((result) => ('code' in result ? result.code : result.labels[0]?.label));
}

describe('an upload is a picture like any other', () => {
  it('as often as it is named, until it expires, beside base64 and billed alike', async () => {
    const { client } = await server.createTenant();
    const uploadId = await upload(client);
    const images = [{ uploadId }, { base64: picture.toString('base64') }, { uploadId }];
    const { data } = await client.classify({ images });
    const [first, second, third] = data!.classify.results;
    expect(first).toMatchObject({ labels: [{ label: 'red circle' }, {}, {}, {}, {}] });
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    expect(await codes(client, [uploadId])).toEqual(['red circle']);
    await expectBooked(server, client, { requests: 2, images: 4, units: 4, errors: 0 });
  });

  it('and a retry under an idempotency key gets the first answer, also once it has expired', async () => {
    const { client } = await server.createTenant();
    const input = { images: [{ uploadId: await upload(client) }], idempotencyKey: 'once' };
    const first = (await client.classify(input)).data!.classify;
    expect((await client.classify(input)).data!.classify).toMatchObject({
      results: first.results,
      receipt: { replayed: true, requestId: first.receipt.requestId, units: 0 },
    });
    clock.advance(60 * minute);
    expect((await client.classify(input)).data!.classify.receipt).toMatchObject({ replayed: true });
    const other = { ...input, images: [{ uploadId: await upload(client) }] };
    expect((await client.classify(other)).errors[0]!.extensions.code).toBe('IDEMPOTENCY_CONFLICT');
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 0 });
  });

  it('and is decoded with no more trust: a file that only begins as one is CORRUPT_IMAGE', async () => {
    const { client } = await server.createTenant();
    const { id, url } = await createUpload(client, { bytes: 100 });
    expect(await put(url, picture.subarray(0, 100))).toMatchObject({ status: 201 });
    expect(await codes(client, [id])).toEqual(['CORRUPT_IMAGE']);
    await expectBooked(server, client, { requests: 1, images: 0, units: 0, errors: 1 });
  });

  it('and one that is not there spoils no other, and is not billed', async () => {
    const [{ client }, stranger] = [await server.createTenant(), await server.createTenant()];
    const expiring = await upload(client);
    clock.advance(60 * minute);
    const [mine, theirs, open] = [
      await upload(client),
      await upload(stranger.client),
      await createUpload(client),
    ];
    const unknown = '01890000-0000-7000-8000-000000000001';
    const images = [mine, expiring, theirs, open.id, unknown, 'none'].map((uploadId) => ({ uploadId }));
    const { results, receipt } = (await client.classify({ images, topK: 1 })).data!.classify;
    const [first, ...others] = results;
    expect(first).toMatchObject({ labels: [{ label: 'red circle' }] });
    expect(others[0]).toMatchObject({ code: 'FETCH_FAILED', message: expect.stringContaining('expired') });
    expect(others).toEqual(Array(5).fill(others[0]));
    expect(receipt).toMatchObject({ images: 1, units: 1, quota: { used: 1, reserved: 0 } });
    expect(await server.heldUnits()).toBe(0);
    await server.expectExactLedger();
  });
});

describe('a place to PUT to', () => {
  it('is at the address that the request came to, and expires in a quarter of an hour', async () => {
    const { client } = await server.createTenant();
    const { id, url, expiresAt } = await createUpload(client);
    expect(url).toMatch(new RegExp(`^${server.url}/uploads/${id}\\?secret=[\\w-]{43}$`));
    expect(Date.parse(expiresAt)).toBeCloseTo(clock.now() + 15 * minute, -4);
  });

  it('believes no proxy that is not trusted', async () => {
    const { client } = await server.createTenant();
    const { data } = await client.send<{ createUpload: { url: string } }>(
      `mutation { createUpload(input: { contentType: "image/png", bytes: 1 }) { url } }`,
      {},
      { headers: { 'x-forwarded-host': 'elsewhere.example', 'x-forwarded-proto': 'https' } },
    );
    expect(data!.createUpload.url).toMatch(`${server.url}/uploads/`);
  });

  it.each([
    [{ contentType: 'image/svg+xml' }, /contentType: found "image\/svg\+xml", wanted .*image\/avif/],
    [{ contentType: 'image/jpg' }, /wanted one of image\/jpeg/],
    [{ contentType: 'video/mp4' }, /contentType/],
    [{ bytes: 0 }, /bytes: found 0, wanted 1 to 20000000/],
    [{ bytes: -1 }, /bytes: found -1/],
    [{ bytes: 20_000_001 }, /bytes: found 20000001/],
    [{ bytes: '9223372036854775807' }, /bytes: found 9223372036854775807/],
    [{ sha256: 'abc' }, /sha256: found 3 characters, wanted .*64/],
    [{ sha256: 'g'.repeat(64) }, /sha256/],
  ])('is not given for %j', async (input, message) => {
    const tenant = await server.createTenant();
    const { errors } = await askForUpload(tenant.client, input);
    expect(errors).toMatchObject([
      { message: expect.stringMatching(message), extensions: { code: 'BAD_USER_INPUT' } },
    ]);
    expect(filesOf(tenant)).toEqual([]);
  });

  it('is given to whoever may infer, and to nobody else', async () => {
    const { client } = await server.createTenant({ scopes: ['USAGE_READ'] });
    expect((await askForUpload(client)).errors[0]!.extensions.code).toBe('FORBIDDEN');
    expect((await askForUpload(client.as(null))).errors[0]!.extensions.code).toBe('UNAUTHENTICATED');
    await createUpload((await server.createTenant({ scopes: ['INFER'] })).client);
  });

  it('is given to a client token that lets 32 wait no more, and to its key still', async () => {
    const { client } = await server.createTenant();
    const { createClientToken } = await client.data<{ createClientToken: { token: string } }>(
      'mutation { createClientToken(input: { scopes: [INFER], ttlSeconds: 600 }) { token } }',
    );
    const browser = client.as(createClientToken.token);
    for (let n = 0; n < 32; n += 1) await createUpload(browser);
    const { errors } = await askForUpload(browser);
    expect(errors).toMatchObject([
      { message: expect.stringContaining('at most 32'), extensions: { code: 'RATE_LIMITED' } },
    ]);
    await createUpload(client);
  });

  it('costs one point', async () => {
    const { client } = await server.createTenant();
    const { extensions } = await askForUpload(client);
    expect(extensions.cost).toMatchObject({ requested: 1 });
  });
});

describe('a PUT that is refused leaves no file', () => {
  it('too large, too late, twice, of a wrong hash or type, of nobody', async () => {
    const tenant = await server.createTenant();
    const { client } = tenant;
    const wrongHash = await createUpload(client, { sha256: '0'.repeat(64) });
    const wrongType = await createUpload(client, { contentType: 'image/png' });
    const open = await createUpload(client);
    const late = await createUpload(client);
    const statuses = [
      (await put(open.url, Buffer.concat([picture, Buffer.of(0)]))).status,
      (await put(wrongHash.url)).status,
      (await put(wrongType.url)).status,
      (await put(open.url.replace('secret=', 'secret=x'))).status,
    ];
    expect(statuses).toEqual([413, 422, 415, 404]);
    clock.advance(15 * minute);
    expect((await put(late.url)).status).toBe(410);
    expect(filesOf(tenant)).toEqual([]);

    const once = await createUpload(client);
    expect([(await put(once.url)).status, (await put(once.url)).status]).toEqual([201, 409]);
    expect(filesOf(tenant)).toHaveLength(1);
  });

  it('and another method is not served', async () => {
    const { url } = await createUpload((await server.createTenant()).client);
    for (const method of ['GET', 'POST', 'DELETE']) {
      expect((await fetch(url, { method })).status).toBe(404);
    }
    expect(await put(url)).toMatchObject({ status: 201 });
  });
});

it('the address is what FOVEA_PUBLIC_URL says, where it is set', async () => {
  const elsewhere = await startServer({ FOVEA_PUBLIC_URL: 'https://vision.example.com/api/' });
  try {
    const { client } = await elsewhere.createTenant();
    const { url } = await createUpload(client);
    expect(url).toMatch(/^https:\/\/vision\.example\.com\/api\/uploads\//);
  } finally {
    await elsewhere.close();
  }
});
