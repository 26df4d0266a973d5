import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { createSafeFetch } from '../../src/lib/safe-fetch.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import type { ClassifyData, GraphqlAnswer } from '../support/graphql-client.ts';
import { lockTable } from '../support/locked-table.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { silentHost } from '../support/silent-host.ts';
import { stopWorker, untilImages } from '../support/stopped-worker.ts';

/** Lets tests be the hosts that pictures are fetched from. */
const openFetch = () => createSafeFetch({ allow: (address) => address === '127.0.0.1' });

let server: TestServer;
/** By how much the machine's clock was set forward. */
let aheadMs = 0;
/** By how much the clock that nobody sets was moved on: it stays so, as it never goes back. */
let skippedMs = 0;
beforeAll(async () => {
  const clock = {
    now: () => Date.now() + aheadMs,
    elapsed: () => systemClock.elapsed() + skippedMs,
  };
  server = await startServer({}, { clock, fetch: openFetch() });
});
afterAll(() => server.close());

const image = { base64: examplePicture() };

/** Answers whoever asks it with `picture`, once it may. */
async function slowHost(picture: Buffer): Promise<{ url: string; asked: Promise<unknown>; answer(): void }> {
  const may = Promise.withResolvers<void>();
  const host = createServer((_request, response) => void may.promise.then(() => response.end(picture)));
  onTestFinished(() => void host.close());
  const asked = once(host, 'request');
  await once(host.listen(0, '127.0.0.1'), 'listening');
  const { port } = host.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, asked, answer: may.resolve };
}

function expectTooLate({ status, data, errors }: GraphqlAnswer<ClassifyData>, timeoutMs: number): void {
  expect({ status, data }).toEqual({ status: 200, data: null });
  expect(errors.map(({ message, extensions }) => ({ message, extensions }))).toEqual([
    {
      message: `The request was not answered within ${timeoutMs} ms: nothing is billed. Raise input.timeoutMs, or try again later.`,
      extensions: { code: 'DEADLINE_EXCEEDED' },
    },
  ]);
}

it('a clock that is set meanwhile makes no request late, neither a running one nor one in the queue', async () => {
  const [first, second] = await Promise.all([server.createTenant(), server.createTenant()]);
  const { goOn } = await stopWorker(server);
  const running = first.client.classify({ images: image });
  await untilImages(server, { running: 1, queued: 0 });
  const queued = second.client.classify({ images: image });
  await untilImages(server, { running: 1, queued: 1 });
  onTestFinished(() => {
    aheadMs = 0;
  });
  aheadMs = 60_000;
  goOn();
  const answers = await Promise.all([running, queued]);
  expect(answers.map(({ errors }) => errors)).toEqual([[], []]);
});

describe('DEADLINE_EXCEEDED', () => {
  it('after one millisecond: nothing is billed and nothing held', async () => {
    const { client } = await server.createTenant();
    expectTooLate(await client.classify({ images: Array(32).fill(image), timeoutMs: 1 }), 1);
    await untilImages(server, { running: 0, queued: 0 });
    await expectBooked(server, client, nothing);
  });

  it('in the queue: the request leaves it, and what it waited for goes on', async () => {
    const [first, second] = await Promise.all([server.createTenant(), server.createTenant()]);
    const { goOn } = await stopWorker(server);
    const running = first.client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const late = second.client.classify({ images: [image, image], timeoutMs: 3_000 });
    await untilImages(server, { running: 1, queued: 2 });
    expectTooLate(await late, 3_000);
    await untilImages(server, { running: 1, queued: 0 });
    expect(await server.heldUnits()).toBe(1);

    goOn();
    expect((await running).errors).toEqual([]);
    await expectBooked(server, first.client, { requests: 1, images: 1, units: 1, errors: 0 });
    await expectBooked(server, second.client, nothing);
  });

  it('after dispatch: what the worker still answers is not billed, and the idempotency key is not used up', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const input = { images: [image, { base64: '' }], idempotencyKey: 'too late' };
    const late = client.classify({ ...input, timeoutMs: 3_000 });
    await untilImages(server, { running: 1, queued: 0 });
    expectTooLate(await late, 3_000);
    expect(await server.heldUnits()).toBe(0);
    goOn();
    await untilImages(server, { running: 0, queued: 0 });
    await expectBooked(server, client, nothing);

    const { data } = await client.classify(input);
    expect(data!.classify.receipt).toMatchObject({ replayed: false, images: 1, units: 1 });
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 1 });
  });

  it('while an equal request has no answer yet: it is told to ask again', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const input = { images: image, idempotencyKey: 'one of two' };
    const first = client.classify(input);
    await untilImages(server, { running: 1, queued: 0 });
    const { errors } = await client.classify({ ...input, timeoutMs: 300 });
    expect(errors).toMatchObject([{ extensions: { code: 'OVERLOADED', retryAfterMs: 10_000 } }]);
    goOn();
    const { requestId } = (await first).data!.classify.receipt;
    expect((await client.classify(input)).data!.classify.receipt).toMatchObject({
      requestId,
      replayed: true,
    });
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 0 });
  });

  it('while a picture is fetched: its host is left, and the others are not billed', async () => {
    const { client } = await server.createTenant();
    const { url, connected, left } = await silentHost();
    const late = client.classify({ images: [image, { url }], timeoutMs: 2_000 });
    await connected;
    expectTooLate(await late, 2_000);
    await left;
    await untilImages(server, { running: 0, queued: 0 });
    await expectBooked(server, client, nothing);
  });

  it('while the units are being reserved: they are given back', async () => {
    const { client } = await server.createTenant();
    const counters = await lockTable(server, 'quota_counter');
    const late = client.classify({ images: image, timeoutMs: 300 });
    await counters.waitedFor();
    setTimeout(counters.unlock, 600);
    expectTooLate(await late, 300);
    await expectBooked(server, client, nothing);
  });

  it('reaches the client in its time, also where bookings have become slow', async () => {
    const { client } = await server.createTenant();
    const { goOn } = await stopWorker(server);
    const running = client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const events = await lockTable(server, 'usage_event');
    goOn();
    await events.waitedFor();
    setTimeout(events.unlock, 600);
    expect((await running).errors).toEqual([]);

    await stopWorker(server);
    const askedAt = performance.now();
    expectTooLate(await client.classify({ images: image, timeoutMs: 10_000 }), 10_000);
    expect(performance.now() - askedAt).toBeLessThan(10_000);
  });

  it('also where bookings became slow only while its picture was fetched', async () => {
    const [{ client }, other] = await Promise.all([server.createTenant(), server.createTenant()]);
    const { url, asked, answer } = await slowHost(Buffer.from(image.base64, 'base64'));
    const late = client.classify({ images: { url }, timeoutMs: 10_000 });
    await asked;
    skippedMs += 8_000;
    const events = await lockTable(server, 'usage_event');
    const slow = other.client.classify({ images: image });
    await events.waitedFor();
    setTimeout(events.unlock, 1_100);
    expect((await slow).errors).toEqual([]);

    answer();
    expectTooLate(await late, 10_000);
    await expectBooked(server, client, nothing);
  });
});
