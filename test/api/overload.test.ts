import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { stopWorker, untilImages } from '../support/stopped-worker.ts';

const queue = 32;
let server: TestServer;
beforeAll(async () => {
  // No time passes but for timers: while a test runs no points come back, and nothing that is queued becomes late.
  const clock = { ...systemClock, elapsed: () => 0 };
  server = await startServer({ FOVEA_MAX_QUEUED_IMAGES: String(queue) }, { clock });
});
afterAll(() => server.close());

const image = { base64: examplePicture() };
const times = (count: number) => Array<typeof image>(count).fill(image);
const noPicture = { base64: '' };

describe('OVERLOADED', () => {
  it('where the queue is full, before decoding: with the time to come back after, unbilled', async () => {
    const [first, second] = await Promise.all([server.createTenant(), server.createTenant()]);
    const { goOn } = await stopWorker(server);
    const running = first.client.classify({ images: times(queue - 1) });
    await untilImages(server, { running: 1, queued: queue - 2 });

    // Were it decoded, it would be answered as an ImageError.
    const refused = await second.client.classify({ images: [noPicture, noPicture] });
    expect(refused).toMatchObject({ status: 503, data: null });
    expect(refused.errors).toMatchObject([
      {
        message: 'The queue is full. Try again later.',
        extensions: { code: 'OVERLOADED', retryAfterMs: expect.any(Number) },
      },
    ]);
    const retryAfterMs = refused.errors[0]!.extensions.retryAfterMs as number;
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(refused.headers.get('retry-after')).toBe(String(Math.ceil(retryAfterMs / 1000)));
    await expectBookedBeside(second.client, queue - 1);

    // One more has a place; it failed at once, and gave its place back.
    const fits = await second.client.classify({ images: noPicture });
    expect(fits.data!.classify.results).toMatchObject([{ code: 'CORRUPT_IMAGE' }]);
    goOn();
    expect((await running).data!.classify.receipt).toMatchObject({ images: queue - 1 });
    await untilImages(server, { running: 0, queued: 0 });
    expect(await server.metric('fovea_images_admitted')).toBe(0);
    const after = await second.client.classify({ images: times(queue) });
    expect(after.data!.classify.receipt).toMatchObject({ images: queue });
    await expectBooked(server, second.client, { requests: 2, images: queue, units: queue, errors: 1 });
  });
});

describe('CONCURRENCY_LIMITED', () => {
  it('above what the plan allows in flight, for this tenant alone, and until one is answered', async () => {
    const [limited, other] = await Promise.all([
      server.createTenant({ plan: 'Free' }),
      server.createTenant(),
    ]);
    const { goOn } = await stopWorker(server);
    const running = Array.from({ length: 4 }, () => limited.client.classify({ images: image }));
    await untilImages(server, { running: 1, queued: 3 });
    const refused = await limited.client.classify({ images: noPicture });
    expect(refused).toMatchObject({
      status: 503,
      data: null,
      errors: [
        {
          message: 'Your plan allows 4 inference requests in flight: wait for one to be answered.',
          extensions: { code: 'CONCURRENCY_LIMITED', retryAfterMs: 100 },
        },
      ],
    });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await other.client.classify({ images: noPicture })).errors).toEqual([]);
    goOn();
    for (const { errors } of await Promise.all(running)) expect(errors).toEqual([]);
    expect((await limited.client.classify({ images: image })).errors).toEqual([]);
    await expectBooked(server, limited.client, { requests: 5, images: 5, units: 5, errors: 0 });
  });
});

it('refuses what asks for inference before it is parsed, where its tenant has no room, and nothing else', async () => {
  const limited = await server.createTenant({ plan: 'Free' });
  const { goOn } = await stopWorker(server);
  const running = Array.from({ length: 4 }, () => limited.client.classify({ images: image }));
  await untilImages(server, { running: 1, queued: 3 });
  const send = (body: string) =>
    fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${limited.key}` },
      body,
    });
  const refused = await send('{"query":"mutation { classify(input: {}) { receipt } }", and no JSON');
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await refused.json()).toMatchObject({
    errors: [{ extensions: { code: 'CONCURRENCY_LIMITED', retryAfterMs: 100 } }],
    extensions: { requestId: expect.any(String) },
  });
  const quota = await limited.client.data<{ quota: object }>('{ quota { reserved } }');
  expect(quota).toEqual({ quota: { reserved: 4 } });
  goOn();
  await Promise.all(running);
  expect((await send('{"query":"mutation { classify(input: {}) }", and no JSON')).status).toBe(400);
  await expectBooked(server, limited.client, { requests: 4, images: 4, units: 4, errors: 0 });
});

describe('RATE_LIMITED', () => {
  it('where too few points are left, with the time to come back after, for this tenant alone', async () => {
    const [limited, other] = await Promise.all([
      server.createTenant({ plan: 'Free' }),
      server.createTenant(),
    ]);
    const served = await limited.client.classify({ images: times(31) });
    expect(served.extensions.cost).toEqual({ requested: 32, limit: 64, remaining: 32, restoreRate: 20 });
    const refused = await limited.client.classify({ images: times(32) });
    expect(refused).toMatchObject({
      status: 429,
      data: null,
      errors: [
        {
          message: 'The operation costs 33 points and 32 are left: send it again in 50 ms.',
          extensions: { code: 'RATE_LIMITED', retryAfterMs: 50 },
        },
      ],
      extensions: { cost: { requested: 33, limit: 64, remaining: 32, restoreRate: 20 } },
    });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await other.client.classify({ images: times(32) })).errors).toEqual([]);
    expect((await limited.client.classify({ images: image })).errors).toEqual([]);
    await expectBooked(server, limited.client, { requests: 2, images: 32, units: 32, errors: 0 });
  });
});

describe('QUERY_TOO_COMPLEX', () => {
  it("where one operation costs more than the plan's burst, whatever is left", async () => {
    const { client } = await server.createTenant({ plan: 'Free' });
    const refused = await client.send(
      `mutation($images: [ImageInput!]!) {
        a: classify(input: { model: "shapes", images: $images }) { receipt { units } }
        b: classify(input: { model: "shapes", images: $images }) { receipt { units } }
      }`,
      { images: times(32) },
    );
    expect(refused).toMatchObject({
      status: 400,
      data: null,
      errors: [
        {
          message: 'The operation costs 65 points, above the burst of 64: send it in parts.',
          extensions: { code: 'QUERY_TOO_COMPLEX' },
        },
      ],
    });
    await expectBooked(server, client, nothing);
  });
});

/** As `expectBooked` with nothing, while others hold so many units. */
async function expectBookedBeside(client: TestServer['operator'], heldByOthers: number): Promise<void> {
  expect(await server.heldUnits()).toBe(heldByOthers);
  const { quota } = await client.data<{ quota: object }>('{ quota { used reserved } }');
  expect(quota).toEqual({ used: 0, reserved: 0 });
}
