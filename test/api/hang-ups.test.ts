import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { createSafeFetch } from '../../src/lib/safe-fetch.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import type { ClassifyData, GraphqlAnswer, GraphqlClient } from '../support/graphql-client.ts';
import { lockTable } from '../support/locked-table.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { silentHost } from '../support/silent-host.ts';
import { stopWorker, untilImages } from '../support/stopped-worker.ts';

/** Lets tests be the hosts that pictures are fetched from. */
const openFetch = () => createSafeFetch({ allow: (address) => address === '127.0.0.1' });

let server: TestServer;
/** Requests that the server has seen their clients hang up on. */
let aborted = 0;
beforeAll(async () => {
  const logger = createLogger('info', {
    write(line) {
      if (JSON.parse(line).status === 'aborted') aborted += 1;
    },
  });
  server = await startServer({}, { logger, fetch: openFetch() });
});
afterAll(() => server.close());

const image = { base64: examplePicture() };

/** A request whose client may hang up; then waits until the server has noticed. */
function classify(
  client: GraphqlClient,
  input: Record<string, unknown>,
): { answer: Promise<GraphqlAnswer<ClassifyData>>; hangUp: () => Promise<void> } {
  const controller = new AbortController();
  const answer = client.classify(input, { signal: controller.signal });
  return {
    answer,
    async hangUp() {
      const before = aborted;
      controller.abort();
      await expect(answer).rejects.toThrow('aborted');
      await vi.waitUntil(() => aborted > before, { timeout: 20_000 });
    },
  };
}

describe('a client that hangs up before dispatch leaves the queue and pays nothing', () => {
  it('while another request has the worker', async () => {
    const [first, second] = await Promise.all([server.createTenant(), server.createTenant()]);
    const { goOn } = await stopWorker(server);
    const running = classify(first.client, { images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const queued = classify(second.client, { images: [image, image, image] });
    await untilImages(server, { running: 1, queued: 3 });
    expect(await server.heldUnits()).toBe(4);
    await queued.hangUp();
    await untilImages(server, { running: 1, queued: 0 });
    await vi.waitUntil(async () => (await server.heldUnits()) === 1, { timeout: 20_000 });

    goOn();
    expect((await running.answer).errors).toEqual([]);
    await expectBooked(server, first.client, { requests: 1, images: 1, units: 1, errors: 0 });
    await expectBooked(server, second.client, nothing);
  });

  it('while its model is looked up', async () => {
    const { client } = await server.createTenant();
    const models = await lockTable(server, 'model');
    const { hangUp } = classify(client, { model: 'shapes@1', images: image });
    await models.waitedFor();
    await hangUp();
    await models.unlock();
    // Of two requests the first is booked first, if at all.
    const { data } = await client.classify({ model: 'shapes@1', images: [image, image] });
    expect(data!.classify.receipt.quota).toMatchObject({ used: 2, reserved: 0 });
    await expectBooked(server, client, { requests: 1, images: 2, units: 2, errors: 0 });
  });

  it('while its units are reserved', async () => {
    const { client } = await server.createTenant();
    const counters = await lockTable(server, 'quota_counter');
    const { hangUp } = classify(client, { images: image });
    await counters.waitedFor();
    await hangUp();
    await counters.unlock();
    await vi.waitUntil(async () => (await server.metric('fovea_images_admitted')) === 0, { timeout: 20_000 });
    await expectBooked(server, client, nothing);
  });

  it('while its pictures are fetched', async () => {
    const { client } = await server.createTenant();
    const { url, connected, left } = await silentHost();
    const { hangUp } = classify(client, { images: { url } });
    await connected;
    await hangUp();
    await left;
    await vi.waitUntil(async () => (await server.metric('fovea_images_admitted')) === 0, { timeout: 20_000 });
    await expectBooked(server, client, nothing);
  });

  it('and a retry that waits for it under its idempotency key takes its place', async () => {
    const [first, second] = await Promise.all([server.createTenant(), server.createTenant()]);
    const { goOn } = await stopWorker(server);
    const running = classify(first.client, { images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const input = { images: image, idempotencyKey: 'again' };
    const impatient = classify(second.client, input);
    await untilImages(server, { running: 1, queued: 1 });
    const retry = classify(second.client, input);
    await vi.waitUntil(async () => (await server.metric('fovea_images_admitted')) === 3, { timeout: 20_000 });
    await impatient.hangUp();
    goOn();
    expect((await running.answer).errors).toEqual([]);
    const { data } = await retry.answer;
    expect(data!.classify.receipt).toMatchObject({ replayed: false, units: 1 });
    await expectBooked(server, second.client, { requests: 1, images: 1, units: 1, errors: 0 });
  });
});

describe('a client that hangs up after dispatch', () => {
  it('has its work done and booked, and gets the answer by its idempotency key, unbilled', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const input = { images: [image, image], topK: 1, idempotencyKey: 'once' };
    const request = classify(client, input);
    // A worker that is free takes the first image at once.
    await untilImages(server, { running: 1, queued: 1 });
    await request.hangUp();
    expect(await server.heldUnits()).toBe(2);
    goOn();
    await vi.waitUntil(async () => (await server.heldUnits()) === 0, { timeout: 20_000 });
    await expectBooked(server, client, { requests: 1, images: 2, units: 2, errors: 0 });

    const { data } = await client.classify(input);
    expect(data!.classify).toMatchObject({
      results: [{ labels: [{ label: 'red circle' }] }, { labels: [{ label: 'red circle' }] }],
      receipt: { replayed: true, units: 0, images: 2, quota: { used: 2, reserved: 0 } },
    });
    await expectBooked(server, client, { requests: 1, images: 2, units: 2, errors: 0 });
  });

  it('while it waited for the first request under its key, changes nothing for that one', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const input = { images: image, idempotencyKey: 'twice' };
    const first = classify(client, input);
    await untilImages(server, { running: 1, queued: 0 });
    const second = classify(client, input);
    await vi.waitUntil(async () => (await server.metric('fovea_images_admitted')) === 2, { timeout: 20_000 });
    await second.hangUp();
    goOn();
    expect((await first.answer).data!.classify.receipt).toMatchObject({ replayed: false, units: 1 });
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 0 });
  });

  it('pays for what was dispatched, and not for the next field of its operation', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const controller = new AbortController();
    const request = client.send(
      `mutation($image: ImageInput!) {
        a: classify(input: { model: "shapes", images: [$image], idempotencyKey: "a" }) { receipt { units } }
        b: classify(input: { model: "shapes", images: [$image], idempotencyKey: "b" }) { receipt { units } }
      }`,
      { image },
      { signal: controller.signal },
    );
    await untilImages(server, { running: 1, queued: 0 });
    const before = aborted;
    controller.abort();
    await expect(request).rejects.toThrow('aborted');
    await vi.waitUntil(() => aborted > before, { timeout: 20_000 });
    goOn();
    await vi.waitUntil(async () => (await server.heldUnits()) === 0, { timeout: 20_000 });

    const replayed = async (idempotencyKey: string) =>
      (await client.classify({ images: image, idempotencyKey })).data!.classify.receipt.replayed;
    expect(await replayed('a')).toBe(true);
    expect(await replayed('b')).toBe(false);
    await expectBooked(server, client, { requests: 2, images: 2, units: 2, errors: 0 });
  });
});
