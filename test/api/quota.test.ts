import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createSafeFetch } from '../../src/lib/safe-fetch.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import type { ClassifyData, GraphqlAnswer } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({}, { fetch: createSafeFetch({ allow: (address) => address === '127.0.0.1' }) });
});
afterAll(() => server.close());

const image = { base64: examplePicture() };
const times = (count: number) => Array<typeof image>(count).fill(image);

function startOfNextMonth(): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)).toISOString();
}

function expectExceeded(answer: GraphqlAnswer<ClassifyData>, units: number, remaining: number): void {
  const resetsAt = startOfNextMonth();
  expect(answer).toMatchObject({ status: 200, data: null });
  expect(answer.errors.map(({ message, extensions }) => ({ message, extensions }))).toEqual([
    {
      message: `This request costs ${units} units and ${remaining} remain until ${resetsAt}.`,
      extensions: { code: 'QUOTA_EXCEEDED', remaining, resetsAt },
    },
  ]);
}

describe('QUOTA_EXCEEDED', () => {
  it('where 3 of 5 images are covered: nothing is run, and what remains is still there to use', async () => {
    const { client } = await server.createTenant({ unitLimit: 3 });
    expectExceeded(await client.classify({ images: times(5) }), 5, 3);
    await expectBooked(server, client, nothing);

    const { data } = await client.classify({ images: times(3) });
    expect(data!.classify.receipt).toMatchObject({ units: 3, quota: { limit: 3, used: 3, remaining: 0 } });
    expectExceeded(await client.classify({ images: image }), 1, 0);
    await expectBooked(server, client, { requests: 1, images: 3, units: 3, errors: 0 });
  });

  it('before anything is fetched for the tenant', async () => {
    const pictures = createServer((_request, response) => response.end('no picture')).listen(0, '127.0.0.1');
    onTestFinished(() => void pictures.close());
    let connections = 0;
    pictures.on('connection', () => {
      connections += 1;
    });
    await once(pictures, 'listening');
    const url = `http://127.0.0.1:${(pictures.address() as AddressInfo).port}/`;
    const { client } = await server.createTenant({ unitLimit: 1 });
    expectExceeded(await client.classify({ images: [{ url }, { url }] }), 2, 1);
    expect(connections).toBe(0);
    const { data } = await client.classify({ images: { url } });
    expect(data!.classify.results).toMatchObject([{ code: 'UNSUPPORTED_FORMAT' }]);
    expect(connections).toBe(1);
    await expectBooked(server, client, { requests: 1, images: 0, units: 0, errors: 1 });
  });

  it('whatever else is wrong with the pictures', async () => {
    const { client } = await server.createTenant({ unitLimit: 1 });
    expectExceeded(await client.classify({ images: [{ base64: '' }, { base64: '' }] }), 2, 1);
    await expectBooked(server, client, nothing);
  });

  it('to one of two requests that each fit alone and come at once', async () => {
    const { client } = await server.createTenant({ unitLimit: 3 });
    const answers = await Promise.all([1, 2, 3, 4].map(() => client.classify({ images: times(2) })));
    const served = answers.filter(({ data }) => data !== null);
    const refused = answers.filter(({ data }) => data === null);
    expect(served).toHaveLength(1);
    for (const answer of refused) expectExceeded(answer, 2, 1);
    await expectBooked(server, client, { requests: 1, images: 2, units: 2, errors: 0 });
  });

  it('in one alias beside another that is answered', async () => {
    const { client } = await server.createTenant({ unitLimit: 3 });
    const { data, errors } = await client.send(
      `mutation($one: ImageInput!) {
        a: classify(input: { model: "shapes", images: [$one, $one] }) { receipt { units } }
        b: classify(input: { model: "shapes", images: [$one, $one] }) { receipt { units } }
      }`,
      { one: image },
    );
    // The payload is not nullable, so the whole answer is null: yet the first field was served before, and is booked.
    expect(data).toBeNull();
    expect(errors.map(({ extensions }) => extensions)).toMatchObject([
      { code: 'QUOTA_EXCEEDED', remaining: 1 },
    ]);
    await expectBooked(server, client, { requests: 1, images: 2, units: 2, errors: 0 });
  });
});

it('a picture that fails gives its units back', async () => {
  const { client } = await server.createTenant({ unitLimit: 3 });
  const { data } = await client.classify({ images: [image, { base64: '' }, image] });
  expect(data!.classify.receipt).toMatchObject({ units: 2, quota: { used: 2, reserved: 0, remaining: 1 } });
  const last = await client.classify({ images: image });
  expect(last.data!.classify.receipt.quota).toMatchObject({ used: 3, remaining: 0 });
  await expectBooked(server, client, { requests: 2, images: 3, units: 3, errors: 1 });
});

it('a request that failed does not use its idempotency key up', async () => {
  const { client, id } = await server.createTenant({ unitLimit: 3 });
  const idempotencyKey = 'after all';
  expectExceeded(await client.classify({ images: times(5), idempotencyKey }), 5, 3);
  // Other input under the same key: it was never used.
  const { data, errors } = await client.classify({ images: times(2), idempotencyKey });
  expect({ id, errors }).toEqual({ id, errors: [] });
  expect(data!.classify.receipt).toMatchObject({ replayed: false, units: 2 });
  const again = await client.classify({ images: times(2), idempotencyKey });
  expect(again.data!.classify.receipt).toMatchObject({ replayed: true, units: 0 });
  await expectBooked(server, client, { requests: 1, images: 2, units: 2, errors: 0 });
});
