import { afterAll, beforeAll, expect, it } from 'vitest';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { stopWorker, untilImages } from '../support/stopped-worker.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ FOVEA_MAX_QUEUED_IMAGES: '64' });
});
afterAll(() => server.close());

const image = { base64: examplePicture() };

/** The value of each series of a metric, by its labels as they are written. */
async function seriesOf(name: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const found = text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'));
  return Object.fromEntries(Array.from(found, ([, labels = '', value]) => [labels, Number(value)]));
}

it('tells of each plan how many images wait, and for how long', async () => {
  const [free, scale] = await Promise.all([
    server.createTenant({ plan: 'Free' }),
    server.createTenant({ plan: 'Scale' }),
  ]);
  expect(await seriesOf('fovea_queue_images')).not.toHaveProperty('plan="Free"');
  const { goOn } = await stopWorker(server);
  const running = scale.client.classify({ images: image });
  await untilImages(server, { running: 1, queued: 0 });
  const waiting = [
    free.client.classify({ images: [image, image] }),
    scale.client.classify({ images: image }),
  ];
  await untilImages(server, { running: 1, queued: 3 });
  expect(await seriesOf('fovea_queue_images')).toEqual({ 'plan="Free"': 2, 'plan="Scale"': 1 });
  const ages = await seriesOf('fovea_queue_oldest_seconds');
  expect(Object.keys(ages).toSorted()).toEqual(['plan="Free"', 'plan="Scale"']);
  const older = await seriesOf('fovea_queue_oldest_seconds');
  for (const [plan, age] of Object.entries(ages)) expect(older[plan]).toBeGreaterThan(age);

  goOn();
  await Promise.all([running, ...waiting]);
  expect(await seriesOf('fovea_queue_images')).toEqual({ 'plan="Free"': 0, 'plan="Scale"': 0 });
  expect(await seriesOf('fovea_queue_oldest_seconds')).toEqual({ 'plan="Free"': 0, 'plan="Scale"': 0 });
});

it('counts batches by their size, and their time in the engine', async () => {
  const { client } = await server.createTenant();
  const before = await seriesOf('fovea_batch_images_count');
  const images = await seriesOf('fovea_batch_images_sum');
  const seconds = await seriesOf('fovea_engine_seconds_sum');
  const { goOn } = await stopWorker(server);
  const alone = client.classify({ images: image });
  await untilImages(server, { running: 1, queued: 0 });
  const three = client.classify({ images: [image, image, image] });
  await untilImages(server, { running: 1, queued: 3 });
  goOn();
  await Promise.all([alone, three]);
  const own = 'model="shapes"';
  expect((await seriesOf('fovea_batch_images_count'))[own]).toBe((before[own] ?? 0) + 2);
  expect((await seriesOf('fovea_batch_images_sum'))[own]).toBe((images[own] ?? 0) + 4);
  expect((await seriesOf('fovea_engine_seconds_sum'))[own]).toBeGreaterThan(seconds[own] ?? 0);
  const buckets = await seriesOf('fovea_batch_images_bucket');
  expect(buckets[`le="4",${own}`]! - buckets[`le="2",${own}`]!).toBeGreaterThanOrEqual(1);
});

it('counts what is refused by why, and what waited in vain', async () => {
  expect(await seriesOf('fovea_images_shed_total')).toEqual({
    'reason="full"': 0,
    'reason="share"': 0,
    'reason="late"': 0,
  });
  expect(await seriesOf('fovea_images_expired_total')).toEqual({ '': 0 });
  const tenants = await Promise.all(Array.from({ length: 3 }, () => server.createTenant()));
  const { goOn } = await stopWorker(server);
  const running = tenants[0]!.client.classify({ images: image });
  await untilImages(server, { running: 1, queued: 0 });
  const late = tenants[0]!.client.classify({ images: [image, image], timeoutMs: 1_000 });
  await untilImages(server, { running: 1, queued: 2 });
  expect((await late).errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
  expect(await seriesOf('fovea_images_expired_total')).toEqual({ '': 2 });

  const many = tenants.slice(0, 2).map(({ client }) => client.classify({ images: Array(31).fill(image) }));
  await untilImages(server, { running: 1, queued: 62 });
  const refused = await tenants[2]!.client.classify({ images: [image, image] });
  expect(refused.errors).toMatchObject([{ extensions: { code: 'OVERLOADED' } }]);
  goOn();
  await Promise.all([running, ...many]);
  expect(await seriesOf('fovea_images_shed_total')).toMatchObject({ 'reason="full"': 2 });
});

it('tells how long stages took of requests that were answered, and of replays nothing', async () => {
  const { client } = await server.createTenant();
  const before = await seriesOf('fovea_stage_seconds_count');
  const input = { images: image, idempotencyKey: 'once' };
  await client.classify(input);
  const { data } = await client.classify(input);
  expect(data!.classify.receipt.replayed).toBe(true);
  const stages = ['decode', 'queue', 'inference', 'postprocess', 'total'].map((stage) => `stage="${stage}"`);
  const after = await seriesOf('fovea_stage_seconds_count');
  expect(Object.keys(after).toSorted()).toEqual(stages.toSorted());
  for (const stage of stages) expect(after[stage], stage).toBe((before[stage] ?? 0) + 1);
});

it('names no tenant, and every metric as Prometheus would have it', async () => {
  const { id, name } = await server.createTenant();
  const text = await (await fetch(`${server.url}/metrics`)).text();
  expect(text).not.toContain(id);
  expect(text).not.toContain(`"${name}"`);
  const own = Array.from(text.matchAll(/^# TYPE (fovea_\S+) (\S+)$/gm), ([, metric = '', type]) => ({
    metric,
    type,
  }));
  expect(own.length).toBeGreaterThan(20);
  for (const { metric, type } of own) {
    expect(metric.endsWith('_total'), metric).toBe(type === 'counter');
    expect(metric, 'base units').not.toMatch(/_(ms|milliseconds|us|kb|mb|percent)(_|$)/);
  }
});
