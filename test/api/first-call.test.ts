import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

describe('the main job', () => {
  it('answers about a picture, and books what it answered', async () => {
    const { client } = await server.createTenant();
    const { status, data, errors, extensions } = await client.classify({
      images: { base64: examplePicture('blue-star') },
      topK: 2,
    });
    expect({ status, errors }).toEqual({ status: 200, errors: [] });
    expect(extensions.cost).toEqual({ requested: 2, limit: 10_000, remaining: 9_998, restoreRate: 2_000 });
    const { results, receipt } = data!.classify;
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({ __typename: 'Classification', labels: [{ label: 'blue star' }, {}] });
    expect(receipt).toMatchObject({
      model: 'shapes',
      version: 1,
      compression: 'NONE',
      device: 'cpu',
      images: 1,
      units: 1,
      replayed: false,
      batchSize: 1,
      quota: { meter: 'units', limit: null, used: 1, reserved: 0, remaining: null },
    });
    expect(receipt.timings.totalMs).toBeGreaterThanOrEqual(receipt.timings.inferenceMs);

    const booked = await client.data<{ quota: object; usage: object[] }>(
      `query($from: DateTime!, $to: DateTime!) {
        quota { used reserved }
        usage(from: $from, to: $to, bucket: HOUR, groupBy: [MODEL, COMPRESSION, OPERATION]) {
          model compression operation requests images units errors
        }
      }`,
      {
        from: new Date(Date.now() - 3_600_000).toISOString(),
        to: new Date(Date.now() + 3_600_000).toISOString(),
      },
    );
    expect(booked).toEqual({
      quota: { used: 1, reserved: 0 },
      usage: [
        {
          model: 'shapes',
          compression: 'NONE',
          operation: 'CLASSIFY',
          requests: 1,
          images: 1,
          units: 1,
          errors: 0,
        },
      ],
    });
  });

  it('answers many pictures in the order they came', async () => {
    const { client } = await server.createTenant();
    const names = [
      'red-circle',
      'blue-star',
      'green-triangle',
      'orange-square',
      'purple-cross',
      'yellow-ring',
    ];
    const { data } = await client.classify({
      images: names.map((name) => ({ base64: examplePicture(name) })),
      topK: 1,
    });
    const found = data!.classify.results.map((result) => 'labels' in result && result.labels[0]?.label);
    expect(found).toEqual(names.map((name) => name.replace('-', ' ')));
    expect(data!.classify.receipt).toMatchObject({ images: 6, units: 6 });
  });

  it('charges every alias of an operation', async () => {
    const { client } = await server.createTenant();
    const image = examplePicture();
    const { data, extensions } = await client.send<Record<'a' | 'b', { receipt: { units: number } }>>(
      `mutation($image: String!) {
        a: classify(input: { model: "shapes", images: { base64: $image } }) { receipt { units } }
        b: classify(input: { model: "shapes@1", images: [{ base64: $image }, { base64: $image }] }) { receipt { units } }
      }`,
      { image },
    );
    expect(data).toEqual({ a: { receipt: { units: 1 } }, b: { receipt: { units: 2 } } });
    expect(extensions.cost).toMatchObject({ requested: 4 });
  });

  it('answers AUTO with a variant that exists', async () => {
    const { client } = await server.createTenant();
    const { data } = await client.classify({ images: { base64: examplePicture() }, compression: 'AUTO' });
    expect(data!.classify.receipt.compression).toBe('NONE');
  });

  it('answers again, unbilled, under the same idempotency key', async () => {
    const { client } = await server.createTenant();
    const input = { images: { base64: examplePicture() }, idempotencyKey: 'once' };
    const first = (await client.classify(input)).data!.classify;
    const second = (await client.classify({ ...input, timeoutMs: 5_000 })).data!.classify;
    expect(second.results).toEqual(first.results);
    expect(second.receipt).toMatchObject({ requestId: first.receipt.requestId, replayed: true, units: 0 });
    expect(second.receipt.quota.used).toBe(1);

    const other = await client.classify({ ...input, topK: 1 });
    expect(other.errors[0]?.extensions.code).toBe('IDEMPOTENCY_CONFLICT');
    expect(await server.heldUnits()).toBe(0);
  });

  it('answers a duplicate that comes while the first still runs with the first answer', async () => {
    const { client } = await server.createTenant();
    const input = { images: { base64: examplePicture() }, idempotencyKey: 'at once' };
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.classify(input)));
    const receipts = answers.map(({ data }) => data!.classify.receipt);
    expect(new Set(receipts.map(({ requestId }) => requestId)).size).toBe(1);
    expect(receipts.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(receipts.reduce((units, receipt) => units + receipt.units, 0)).toBe(1);
  });

  it('keeps an exact ledger', () => server.expectExactLedger());
});
