import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createSafeFetch } from '../../src/lib/safe-fetch.ts';
import { expectBooked } from '../support/booked.ts';
import { GraphqlClient, type ReceiptData } from '../support/graphql-client.ts';
import { importManifest, importMarker } from '../support/imported-models.ts';
import { unreadableOnDarkModel } from '../support/onnx-fixture.ts';
import { openServer } from '../support/open-server.ts';
import { plainPicture } from '../support/plain-picture.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { silentHost } from '../support/silent-host.ts';

/** Room for some thousand results. */
const CACHE_BYTES = `${8 << 20}`;

let server: TestServer;
beforeAll(async () => {
  server = await startServer(
    { FOVEA_CACHE_BYTES: CACHE_BYTES },
    { fetch: createSafeFetch({ allow: (address) => address === '127.0.0.1' }) },
  );
});
afterAll(() => server?.close());

const image = { base64: examplePicture() };
const other = { base64: examplePicture('blue-star') };

/** What one request was answered; it must not be refused. */
async function classify(client: GraphqlClient, input: Record<string, unknown>) {
  const { data, errors } = await client.classify(input);
  expect(errors).toEqual([]);
  return data!.classify;
}

const hit = { device: 'cache', units: 0, cachedImages: 1, batchSize: 0 };
const miss = { device: 'cpu', units: 1, cachedImages: 0, batchSize: 1 };

describe('an image that is sent again', () => {
  it('is answered as before, by the cache, and booked as such', async () => {
    const { id, client } = await server.createTenant();
    const first = await classify(client, { images: image });
    expect(first.receipt).toMatchObject({ ...miss, images: 1 });
    const again = await classify(client, { images: image });
    expect(again.results).toEqual(first.results);
    expect(again.receipt).toMatchObject({ ...hit, images: 1, replayed: false });
    expect(again.receipt.requestId).not.toBe(first.receipt.requestId);
    expect(again.receipt.timings).toMatchObject({ inferenceMs: 0, postprocessMs: 0 });
    expect(again.receipt.timings.decodeMs).toBeGreaterThan(0);
    expect(again.receipt.timings.totalMs).toBeGreaterThan(again.receipt.timings.decodeMs);

    await expectBooked(server, client, { requests: 2, images: 2, units: 1, errors: 0 });
    const sums = ['usage_event', 'usage_hourly', 'usage_daily'].map(async (table) => {
      const { rows } = await server.context.database.ledger.query<{ cached: string }>(
        `SELECT sum(cached_images) AS cached FROM ${table} WHERE tenant_id = $1`,
        [id],
      );
      return Number(rows[0]!.cached);
    });
    expect(await Promise.all(sums)).toEqual([1, 1, 1]);
  });

  it('beside others in its request leaves their receipt true', async () => {
    const { client } = await server.createTenant();
    await classify(client, { images: image });
    const { receipt } = await classify(client, { images: [image, other, { base64: '' }] });
    expect(receipt).toMatchObject({ ...miss, images: 2, cachedImages: 1 });
    expect(receipt.timings.inferenceMs).toBeGreaterThan(0);
    await expectBooked(server, client, { requests: 2, images: 3, units: 2, errors: 1 });
  });

  it('twice in one request is run once', async () => {
    const { client } = await server.createTenant();
    const { results, receipt } = await classify(client, { images: [image, image, image] });
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    expect(receipt).toMatchObject({ ...miss, images: 3, cachedImages: 2 });
    await expectBooked(server, client, { requests: 1, images: 3, units: 1, errors: 0 });
  });

  it('in another file format is the same image', async () => {
    const { client } = await server.createTenant();
    const { sharp } = await import('../../src/inference/images/libvips.ts');
    const png = await sharp(Buffer.from(image.base64, 'base64')).png().toBuffer();
    await classify(client, { images: image });
    const { receipt } = await classify(client, { images: { base64: png.toString('base64') } });
    expect(receipt).toMatchObject(hit);
  });

  it('under an idempotency key is replayed from that, with the first receipt', async () => {
    const { client } = await server.createTenant();
    await classify(client, { images: image });
    const keyed = { images: image, idempotencyKey: 'once' };
    const first = await classify(client, keyed);
    expect(first.receipt).toMatchObject({ ...hit, replayed: false });
    const replayed = await classify(client, keyed);
    expect(replayed.results).toEqual(first.results);
    expect(replayed.receipt).toMatchObject({ ...hit, requestId: first.receipt.requestId, replayed: true });
    await expectBooked(server, client, { requests: 2, images: 2, units: 1, errors: 0 });
  });
});

describe('an image is run anew', () => {
  it('for every other parameter', async () => {
    const { client } = await server.createTenant();
    for (const input of [{}, { topK: 3 }, { minScore: 0.01 }, { topK: 3, minScore: 0.01 }])
      expect((await classify(client, { images: image, ...input })).receipt).toMatchObject(miss);
    const { results, receipt } = await classify(client, { images: image, topK: 3 });
    expect(receipt).toMatchObject(hit);
    expect(results).toMatchObject([{ labels: { length: 3 } }]);
  });

  it('for another tenant, at the full price', async () => {
    const [mine, theirs] = await Promise.all([server.createTenant(), server.createTenant()]);
    await classify(mine.client, { images: image });
    expect((await classify(theirs.client, { images: image })).receipt).toMatchObject(miss);
    await expectBooked(server, theirs.client, { requests: 1, images: 1, units: 1, errors: 0 });
  });

  it('where its original had another size, which the answer tells', async () => {
    const { client } = await server.createTenant();
    const small = await plainPicture([200, 20, 30], { width: 64, height: 64 });
    const large = await plainPicture([200, 20, 30], { width: 128, height: 128 });
    await classify(client, { images: small });
    const { results, receipt } = await classify(client, { images: large });
    expect(receipt).toMatchObject(miss);
    expect(results).toMatchObject([{ width: 128, height: 128 }]);
  });

  it('by a version that took the place of the one that answered it', async () => {
    const { id: tenantId, client } = await server.createTenant();
    const images = await plainPicture([255, 0, 255], { width: 16, height: 16 });
    const detect = async (model: string) => {
      const { data, errors } = await client.detect({ model, images });
      expect(errors).toEqual([]);
      const { receipt, results } = data!.detect;
      const [result] = results;
      if (!result || !('objects' in result)) throw new Error(`no detection: ${result?.message}`);
      const { version, device, cachedImages } = receipt;
      return { version, device, cachedImages, labels: result.objects.map(({ label }) => label) };
    };
    const imported = { name: 'flags', head: 'boxes-scores', size: 16 } as const;
    const run = (version: number, label: string) => ({
      ...{ version, device: 'cpu', cachedImages: 0, labels: [label] },
    });
    const kept = (version: number, label: string) => ({
      ...{ version, device: 'cache', cachedImages: 1, labels: [label] },
    });
    await importMarker({ ...imported, label: 'old' }, { server, tenantId });
    expect(await detect('flags')).toEqual(run(1, 'old'));
    expect(await detect('flags')).toEqual(kept(1, 'old'));
    // The same graph, byte for byte, with other labels.
    await importMarker({ ...imported, version: 2, label: 'new' }, { server, tenantId });
    expect(await detect('flags')).toEqual(run(2, 'new'));
    expect(await detect('flags')).toEqual(kept(2, 'new'));
    expect(await detect('flags@1')).toEqual(kept(1, 'old'));
  });

  it('by a model of the tenant that hides the public one of its name', async () => {
    const { id: tenantId, client } = await server.createTenant();
    const images = await plainPicture([255, 0, 255], { width: 16, height: 16 });
    const model = 'hidden';
    const imported = { name: model, head: 'boxes-scores', size: 16 } as const;
    await importMarker({ ...imported, label: 'everybody' }, { server });
    expect((await client.detect({ model, images })).data!.detect.results).toMatchObject([
      { objects: [{ label: 'everybody' }] },
    ]);
    await importMarker({ ...imported, label: 'mine' }, { server, tenantId });
    const { results, receipt } = (await client.detect({ model, images })).data!.detect;
    expect(results).toMatchObject([{ objects: [{ label: 'mine' }] }]);
    expect(receipt).toMatchObject({ cachedImages: 0, version: 1 });
  });
});

describe('nothing is kept', () => {
  it('of an image that cannot be decoded', async () => {
    const { client } = await server.createTenant();
    const before = await server.metric('fovea_cache_entries');
    const images = { base64: Buffer.from('no picture').toString('base64') };
    for (let times = 0; times < 2; times++) {
      const { results, receipt } = await classify(client, { images });
      expect(results).toMatchObject([{ code: 'UNSUPPORTED_FORMAT' }]);
      expect(receipt).toMatchObject({ device: 'cache', images: 0, units: 0, cachedImages: 0 });
    }
    expect(await server.metric('fovea_cache_entries')).toBe(before);
    await expectBooked(server, client, { requests: 2, images: 0, units: 0, errors: 2 });
  });

  it('of an image that its model failed on: it is run again', async () => {
    const { client } = await server.createTenant();
    const folder = mkdtempSync(join(tmpdir(), 'fovea-unreadable-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'model.onnx'), unreadableOnDarkModel(4));
    writeFileSync(join(folder, 'labels.txt'), 'red\ngreen\nblue\n');
    const manifest = {
      ...{ name: 'night-blind', version: 1, task: 'CLASSIFY', format: 'onnx', file: 'model.onnx' },
      ...{ input: { width: 4, height: 4 }, output: { kind: 'logits' }, labels: 'labels.txt' },
    };
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
    await importManifest(join(folder, 'manifest.json'), { server });
    const images = await plainPicture([0, 0, 0], { width: 4, height: 4 });
    const misses = await server.metric('fovea_cache_misses_total');
    for (let times = 1; times <= 2; times++) {
      const { results, receipt } = await classify(client, { model: 'night-blind', images });
      expect(results).toMatchObject([{ code: 'INFERENCE_FAILED' }]);
      expect(receipt).toMatchObject({ device: 'cache', images: 0, units: 0, cachedImages: 0 });
      expect(await server.metric('fovea_cache_misses_total')).toBe(misses + times);
    }
    await expectBooked(server, client, { requests: 2, images: 0, units: 0, errors: 2 });
  });

  it('of a request that was dropped unbilled after its image was run', async () => {
    const { client } = await server.createTenant();
    const { url } = await silentHost();
    const misses = await server.metric('fovea_cache_misses_total');
    const late = await client.classify({ images: [image, { url }], timeoutMs: 2_000 });
    expect(late.errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
    expect(await server.metric('fovea_cache_misses_total')).toBe(misses + 1);
    const { receipt } = await classify(client, { images: image });
    expect(receipt).toMatchObject(miss);
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 0 });
  });
});

describe('what a hit costs', () => {
  const PRICE = 3;
  const images = plainPicture([255, 0, 255], { width: 16, height: 16 });
  beforeAll(async () => {
    await importMarker({ name: 'priced', head: 'boxes-scores', size: 16, unitsPerImage: PRICE }, { server });
  });

  const settings = [
    { setting: '', price: 0 },
    { setting: 'free', price: 0 },
    { setting: '0.4', price: 2 },
    { setting: 'full', price: PRICE },
  ];
  it.each(settings)(
    'with FOVEA_CACHED_UNITS=$setting is $price of 3 units, in every place',
    async ({ setting, price }) => {
      const beside = await openServer(server, {
        FOVEA_CACHE_BYTES: CACHE_BYTES,
        FOVEA_CACHED_UNITS: setting,
      });
      onTestFinished(() => beside.close());
      const tenant = await server.createTenant({ unitLimit: 100 });
      const client = new GraphqlClient(beside.url, tenant.key);
      const detect = async (by: GraphqlClient, times: number): Promise<ReceiptData> => {
        const { data, errors } = await by.detect({
          model: 'priced',
          images: Array(times).fill(await images),
        });
        expect(errors).toEqual([]);
        return data!.detect.receipt;
      };
      expect(await detect(client, 1)).toMatchObject({ units: PRICE, cachedImages: 0 });
      expect(await detect(client, 4)).toMatchObject({ units: 4 * price, cachedImages: 4, images: 4 });

      // A client token spends what is billed, and needs as much as if nothing were cached.
      const maxUnits = 2 * PRICE;
      const { createClientToken } = await client.data<{ createClientToken: { token: string } }>(
        'mutation($input: CreateClientTokenInput!) { createClientToken(input: $input) { token } }',
        { input: { maxUnits } },
      );
      const browser = new GraphqlClient(beside.url, createClientToken.token);
      expect(await detect(browser, 2)).toMatchObject({ units: 2 * price, cachedImages: 2 });
      const { data, errors } = await browser.detect({ model: 'priced', images: Array(2).fill(await images) });
      if (price === 0) expect(data!.detect.receipt).toMatchObject({ units: 0, cachedImages: 2 });
      else expect(errors[0]?.message).toContain(`costs ${2 * PRICE} units, and ${maxUnits - 2 * price} of`);

      const units = PRICE + 6 * price;
      const requests = price === 0 ? 4 : 3;
      await expectBooked(server, client, { requests, images: 2 * requests + 1, units, errors: 0 });
      const { invoicePreview } = await client.data<{ invoicePreview: { lines: { units: number }[] } }>(
        '{ invoicePreview { lines { units } } }',
      );
      expect(invoicePreview.lines.reduce((sum, line) => sum + line.units, 0)).toBe(units);
    },
  );

  it('leaves the quota what was not billed', async () => {
    const { client } = await server.createTenant({ unitLimit: 2 * PRICE + 1 });
    const detect = async () => {
      const { data, errors } = await client.detect({ model: 'priced', images: [await images, await images] });
      expect(errors).toEqual([]);
      return data!.detect.receipt.quota;
    };
    expect(await detect()).toMatchObject({ used: PRICE, reserved: 0, remaining: PRICE + 1 });
    const { errors } = await client.detect({ model: 'priced', images: [await images, await images] });
    // A request is held in full: what of it will be hits is known only once it is decoded.
    expect(errors).toMatchObject([{ extensions: { code: 'QUOTA_EXCEEDED', remaining: PRICE + 1 } }]);
  });
});

describe('the room for results', () => {
  const pictures = (count: number, red: number) =>
    Promise.all(
      Array.from({ length: count }, (_, n) => plainPicture([red, n, 0], { width: 16, height: 16 })),
    );

  it('is bounded, and one tenant has at most half of it', async () => {
    const bytes = 40_000;
    const beside = await openServer(server, { FOVEA_CACHE_BYTES: `${bytes}` });
    onTestFinished(() => beside.close());
    const metric = async (name: string) => {
      const text = await (await fetch(`${beside.url}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)![1]);
    };
    const clients = await Promise.all(
      [1, 2].map(async () => new GraphqlClient(beside.url, (await server.createTenant()).key)),
    );
    const [small, large] = clients as [GraphqlClient, GraphqlClient];
    const few = await pictures(5, 10);
    const many = await pictures(60, 20);
    await classify(small, { images: few });
    for (let from = 0; from < many.length; from += 20) {
      await classify(large, { images: many.slice(from, from + 20) });
      expect(await metric('fovea_cache_bytes')).toBeLessThanOrEqual(bytes);
    }
    expect(await metric('fovea_cache_entries')).toBeLessThan(60);
    expect((await classify(small, { images: few })).receipt).toMatchObject({ cachedImages: 5, units: 0 });
    expect((await classify(large, { images: many.slice(0, 20) })).receipt).toMatchObject({ cachedImages: 0 });
    expect((await classify(large, { images: many.slice(15, 20) })).receipt).toMatchObject({
      cachedImages: 5,
    });
  });

  it('is none where the setting is 0: every image is run, and /metrics tells of no cache', async () => {
    const beside = await openServer(server, { FOVEA_CACHE_BYTES: '0' });
    onTestFinished(() => beside.close());
    const tenant = await server.createTenant();
    const client = new GraphqlClient(beside.url, tenant.key);
    for (let times = 0; times < 2; times++) {
      const { receipt } = await classify(client, { images: [image, image] });
      expect(receipt).toMatchObject({ device: 'cpu', units: 2, cachedImages: 0 });
    }
    expect(await (await fetch(`${beside.url}/metrics`)).text()).not.toContain('fovea_cache');
    await expectBooked(server, client, { requests: 2, images: 4, units: 4, errors: 0 });
  });
});
