import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createSafeFetch } from '../../src/lib/safe-fetch.ts';
import { startWorker, untilPending } from '../inference/worker/in-process-worker.ts';
import { GraphqlClient, type ReceiptData } from '../support/graphql-client.ts';
import { heldEngine } from '../support/held-engine.ts';
import { openServer } from '../support/open-server.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { stopWorker, untilImages } from '../support/stopped-worker.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({}, { fetch: createSafeFetch({ allow: (address) => address === '127.0.0.1' }) });
});
afterAll(() => server.close());

const image = { base64: examplePicture() };
/** What is held is held for so long, milliseconds: what is asserted is on which account of a receipt it is found. */
const HELD_MS = 300;

/** The accounts of a receipt, none of which may be more than what the request took in all. */
function expectWithin({ timings }: ReceiptData): void {
  const { totalMs, ...stages } = timings;
  for (const [stage, ms] of Object.entries(stages)) {
    expect(ms, stage).toBeGreaterThanOrEqual(0);
    expect(ms, stage).toBeLessThanOrEqual(totalMs);
  }
}

const sumOf = ({ timings: { decodeMs, queueMs, inferenceMs, postprocessMs } }: ReceiptData) =>
  decodeMs + queueMs + inferenceMs + postprocessMs;

describe('a receipt', () => {
  it('of one picture has stages that follow each other: together they are no more than the total', async () => {
    const { client } = await server.createTenant();
    const answers = await Promise.all(Array.from({ length: 24 }, () => client.classify({ images: image })));
    for (const { data } of answers) {
      const { receipt } = data!.classify;
      expectWithin(receipt);
      expect(sumOf(receipt)).toBeLessThanOrEqual(receipt.timings.totalMs);
      for (const ms of Object.values(receipt.timings)) expect(ms).toBeGreaterThan(0);
    }
  });

  it('of many pictures tells of each stage the longest, and of the batches the largest', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const alone = client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const many = client.classify({ images: Array(11).fill(image) });
    await untilImages(server, { running: 1, queued: 11 });
    goOn();
    const first = (await alone).data!.classify.receipt;
    const { receipt } = (await many).data!.classify;
    expect(first.batchSize).toBe(1);
    expect(receipt).toMatchObject({ images: 11, units: 11, device: 'cpu' });
    expect(receipt.batchSize).toBeGreaterThan(1);
    expect(receipt.batchSize).toBeLessThanOrEqual(11);
    expectWithin(receipt);
  });

  it('of requests that rode together tells each of them the batch, and its time in the engine', async () => {
    const [first, ...tenants] = await Promise.all(Array.from({ length: 4 }, () => server.createTenant()));
    const { goOn } = await stopWorker(server);
    // Another's: whoever had the worker stand still may have to wait for the others' turn.
    const alone = first!.client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const together = tenants.map(({ client }) => client.classify({ images: image }));
    await untilImages(server, { running: 1, queued: 3 });
    goOn();
    await alone;
    const receipts = (await Promise.all(together)).map(({ data }) => data!.classify.receipt);
    expect(receipts.map(({ batchSize, images, units }) => [batchSize, images, units])).toEqual([
      [3, 1, 1],
      [3, 1, 1],
      [3, 1, 1],
    ]);
    expect(new Set(receipts.map(({ timings }) => timings.inferenceMs)).size).toBe(1);
  });
});

describe('what a request waits for', () => {
  it('is queueMs where it waits for its batch, and no other stage', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const sent = client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const queued = client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 1 });
    await sleep(HELD_MS);
    goOn();
    const [first, second] = (await Promise.all([sent, queued])).map(({ data }) => data!.classify.receipt);
    expect(second!.timings.queueMs).toBeGreaterThanOrEqual(HELD_MS);
    expect(second!.timings.inferenceMs).toBeLessThanOrEqual(second!.timings.totalMs - HELD_MS);
    // It was sent at once: that its worker stood still is neither the queue's nor the engine's doing.
    expect(first!.timings.totalMs).toBeGreaterThanOrEqual(HELD_MS);
    expect(sumOf(first!)).toBeLessThanOrEqual(first!.timings.totalMs - HELD_MS);
  });

  it('is in the total alone where a picture is slow to come', async () => {
    const slow = createServer(async (_request, response) => {
      await sleep(HELD_MS);
      response.setHeader('content-type', 'image/jpeg').end(Buffer.from(image.base64, 'base64'));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void slow.close());
    const { client } = await server.createTenant();
    const { port } = slow.address() as AddressInfo;
    const { data } = await client.classify({ images: { url: `http://127.0.0.1:${port}/slow.jpg` } });
    const { receipt } = data!.classify;
    expect(receipt.images).toBe(1);
    expect(receipt.timings.decodeMs).toBeGreaterThan(0);
    expect(sumOf(receipt)).toBeLessThanOrEqual(receipt.timings.totalMs - HELD_MS);
  });
});

describe('a worker that several servers share', () => {
  it('has a batch wait, which is queueMs, and runs it with that of another: which is the batch they rode in', async () => {
    const { engines, hold, runs } = heldEngine();
    const { worker } = await startWorker({}, { engines });
    const here = await startServer({ FOVEA_WORKERS: worker.address });
    onTestFinished(() => here.close());
    const beside = await openServer(here, { FOVEA_WORKERS: worker.address });
    onTestFinished(() => beside.close());
    const [first, second] = await Promise.all([here.createTenant(), here.createTenant()]);

    const before = runs.length;
    const goOn = hold();
    const running = first.client.classify({ images: image });
    await expect.poll(() => runs.length).toBe(before + 1);
    const waiting = [
      first.client.classify({ images: image }),
      new GraphqlClient(beside.url, second.key).classify({ images: image }),
    ];
    await untilPending(worker.address, 2);
    await sleep(HELD_MS);
    goOn();

    const [ran, ...waited] = (await Promise.all([running, ...waiting])).map(
      ({ data }) => data!.classify.receipt,
    );
    expect(ran!.batchSize).toBe(1);
    expect(ran!.timings.inferenceMs).toBeGreaterThanOrEqual(HELD_MS);
    for (const receipt of waited) {
      expectWithin(receipt);
      expect(receipt.batchSize).toBe(2);
      expect(receipt.timings.queueMs).toBeGreaterThanOrEqual(HELD_MS);
      expect(receipt.timings.inferenceMs).toBeLessThanOrEqual(receipt.timings.totalMs - HELD_MS);
    }
  });
});
