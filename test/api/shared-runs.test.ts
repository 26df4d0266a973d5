import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createSafeFetch } from '../../src/lib/safe-fetch.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import type { ClassifyData, GraphqlAnswer, GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';
import { silentHost } from '../support/silent-host.ts';
import { stopWorker, untilImages } from '../support/stopped-worker.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer(
    { FOVEA_CACHE_BYTES: `${1 << 20}` },
    { fetch: createSafeFetch({ allow: (address) => address === '127.0.0.1' }) },
  );
});
afterAll(() => server?.close());

const image = { base64: examplePicture() };
const other = { base64: examplePicture('blue-star') };

const patience = { timeout: 20_000, interval: 10 };

/** Until so many images of all requests are admitted and not yet answered. */
async function untilAdmitted(images: number): Promise<void> {
  await vi.waitUntil(async () => (await server.metric('fovea_images_admitted')) === images, patience);
}

interface Pending {
  readonly answer: Promise<GraphqlAnswer<ClassifyData>>;
  hangUp(): Promise<void>;
}

/** A request in flight, once its image is queued or given to the worker, or waits for an equal one. */
async function ask(client: GraphqlClient, input: Record<string, unknown> = {}): Promise<Pending> {
  const arrived = async () => {
    const names = ['fovea_images_running', 'fovea_images_queued', 'fovea_cache_waiting'];
    const counts = await Promise.all(names.map((name) => server.metric(name)));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  const before = await arrived();
  const controller = new AbortController();
  const answer = client.classify({ images: image, ...input }, { signal: controller.signal });
  answer.catch(() => {});
  await vi.waitUntil(async () => (await arrived()) === before + 1, patience);
  return {
    answer,
    async hangUp() {
      controller.abort();
      await expect(answer).rejects.toThrow('aborted');
    },
  };
}

/**
 * The worker is stopped under another tenant's image, so that whatever comes now waits in the queue. Not for long: after 5 s it has
 * hung, and another takes its place.
 */
async function busyWorker(): Promise<{ goOn: () => Promise<void>; tenant: TestTenant }> {
  const [busy, tenant] = await Promise.all([server.createTenant(), server.createTenant()]);
  const { goOn } = await stopWorker(server);
  const running = busy.client.classify({ images: other });
  await untilImages(server, { running: 1, queued: 0 });
  return {
    tenant,
    async goOn() {
      goOn();
      expect((await running).errors).toEqual([]);
    },
  };
}

async function receiptOf({ answer }: Pending) {
  const { data, errors } = await answer;
  expect(errors).toEqual([]);
  expect(data!.classify.results).toMatchObject([{ labels: [{ label: 'red circle' }, {}, {}, {}, {}] }]);
  return data!.classify.receipt;
}

const ran = { device: 'cpu', images: 1, units: 1, cachedImages: 0, batchSize: 1 };
const followed = { device: 'cache', images: 1, units: 0, cachedImages: 1, batchSize: 0 };

it('two requests at once about one image run it once', async () => {
  const { tenant, goOn } = await busyWorker();
  const followers = await server.metric('fovea_cache_followers_total');
  const leader = await ask(tenant.client);
  const follower = await ask(tenant.client);
  await untilImages(server, { running: 1, queued: 1 });
  expect(await server.heldUnits()).toBe(3);
  await goOn();
  expect(await receiptOf(leader)).toMatchObject(ran);
  const receipt = await receiptOf(follower);
  expect(receipt).toMatchObject({ ...followed, timings: { inferenceMs: 0, postprocessMs: 0 } });
  expect(receipt.timings.queueMs).toBeGreaterThan(0);
  expect(receipt.timings.queueMs).toBeLessThan(receipt.timings.totalMs);
  expect(await server.metric('fovea_cache_followers_total')).toBe(followers + 1);
  await expectBooked(server, tenant.client, { requests: 2, images: 2, units: 1, errors: 0 });
});

it('two tenants at once run it twice', async () => {
  const { client } = await server.createTenant();
  const { tenant, goOn } = await busyWorker();
  const [mine, theirs] = [await ask(tenant.client), await ask(client)];
  await untilImages(server, { running: 1, queued: 2 });
  await goOn();
  expect(await receiptOf(mine)).toMatchObject({ units: 1, cachedImages: 0 });
  expect(await receiptOf(theirs)).toMatchObject({ units: 1, cachedImages: 0 });
});

it('a follower takes over where the leader hangs up in the queue', async () => {
  const { tenant, goOn } = await busyWorker();
  const leader = await ask(tenant.client);
  const [second, third] = [await ask(tenant.client), await ask(tenant.client)];
  await untilImages(server, { running: 1, queued: 1 });
  await leader.hangUp();
  await untilAdmitted(3);
  await untilImages(server, { running: 1, queued: 1 });
  await goOn();
  expect(await receiptOf(second)).toMatchObject(ran);
  expect(await receiptOf(third)).toMatchObject(followed);
  await expectBooked(server, tenant.client, { requests: 2, images: 2, units: 1, errors: 0 });
});

it("a follower takes over where the leader's deadline passes", async () => {
  const { tenant, goOn } = await busyWorker();
  const leader = await ask(tenant.client, { timeoutMs: 3_000 });
  const follower = await ask(tenant.client);
  expect((await leader.answer).errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
  await untilImages(server, { running: 1, queued: 1 });
  await goOn();
  expect(await receiptOf(follower)).toMatchObject(ran);
  await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 1, errors: 0 });
});

it("a follower takes over where the leader's deadline passes while its image is run", async () => {
  const { client } = await server.createTenant();
  const { goOn } = await stopWorker(server);
  const leader = await ask(client, { timeoutMs: 3_000 });
  await untilImages(server, { running: 1, queued: 0 });
  const follower = await ask(client);
  expect((await leader.answer).errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
  goOn();
  expect(await receiptOf(follower)).toMatchObject(ran);
  await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 0 });
});

it('a follower whose own deadline passes is dropped unbilled, and the leader goes on', async () => {
  const { tenant, goOn } = await busyWorker();
  const leader = await ask(tenant.client);
  const follower = await ask(tenant.client, { timeoutMs: 2_000 });
  const { errors } = await follower.answer;
  expect(errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
  await untilImages(server, { running: 1, queued: 1 });
  expect(await server.heldUnits()).toBe(2);
  await goOn();
  expect(await receiptOf(leader)).toMatchObject(ran);
  await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 1, errors: 0 });
});

it('a follower that hangs up leaves nothing behind, and harms nobody', async () => {
  const { tenant, goOn } = await busyWorker();
  const leader = await ask(tenant.client);
  const [impatient, patient] = [await ask(tenant.client), await ask(tenant.client)];
  await impatient.hangUp();
  await untilAdmitted(3);
  await vi.waitUntil(async () => (await server.heldUnits()) === 3, patience);
  await goOn();
  expect(await receiptOf(leader)).toMatchObject(ran);
  expect(await receiptOf(patient)).toMatchObject(followed);
  await expectBooked(server, tenant.client, { requests: 2, images: 2, units: 1, errors: 0 });
});

it('INTERACTIVE does not wait for the same image that is queued as BATCH', async () => {
  const { tenant, goOn } = await busyWorker();
  const batch = await ask(tenant.client, { priority: 'BATCH' });
  const interactive = await ask(tenant.client);
  await untilImages(server, { running: 1, queued: 2 });
  const another = await ask(tenant.client, { priority: 'BATCH' });
  await untilImages(server, { running: 1, queued: 2 });
  await goOn();
  expect(await receiptOf(interactive)).toMatchObject({ units: 1, cachedImages: 0 });
  expect(await receiptOf(batch)).toMatchObject({ units: 1, cachedImages: 0 });
  expect(await receiptOf(another)).toMatchObject({ units: 0, cachedImages: 1 });
  await expectBooked(server, tenant.client, { requests: 3, images: 3, units: 2, errors: 0 });
});

it('a follower pays for the run where the request that it was for is dropped unbilled', async () => {
  const { client } = await server.createTenant();
  const { url } = await silentHost();
  const misses = await server.metric('fovea_cache_misses_total');
  const late = client.classify({ images: [image, { url }], timeoutMs: 5_000 });
  await vi.waitUntil(async () => (await server.metric('fovea_cache_misses_total')) === misses + 1, patience);
  const { receipt } = (await client.classify({ images: image })).data!.classify;
  expect(receipt).toMatchObject({ device: 'cpu', units: 1, cachedImages: 0 });
  expect((await client.classify({ images: image })).data!.classify.receipt).toMatchObject(followed);
  expect((await late).errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
  expect(await server.metric('fovea_cache_misses_total')).toBe(misses + 1);
  await expectBooked(server, client, { requests: 2, images: 2, units: 1, errors: 0 });
});

it('what nobody is waiting for any more leaves nothing behind', async () => {
  const { tenant, goOn } = await busyWorker();
  const [leader, follower] = [await ask(tenant.client), await ask(tenant.client)];
  await leader.hangUp();
  await follower.hangUp();
  await untilAdmitted(1);
  await untilImages(server, { running: 1, queued: 0 });
  await goOn();
  await expectBooked(server, tenant.client, nothing);
});
