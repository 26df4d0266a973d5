import { expect, it, vi } from 'vitest';
import { heldEngine } from '../../support/held-engine.ts';
import { failsOnWhiteModel, meanModel, slowModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker, untilPending } from './in-process-worker.ts';

const SIZE = 2;

/** A worker whose engine is held in the midst of a run of one image, and which joins up to `maxBatch` images. */
async function startBusy(artifact: Uint8Array, maxBatch: number) {
  const engine = heldEngine();
  const { worker, client, artifacts } = await startWorker({}, { engines: engine.engines });
  const base = worker.address;
  await client.load('model', { sha256: artifacts.put(artifact), warmup_batch: maxBatch });
  engine.runs.length = 0;
  const ask = async (greys: readonly number[], parameters: object = {}, more: readonly object[] = []) => {
    const data = greys.flatMap((grey) => Array(3 * SIZE * SIZE).fill(grey));
    const images = { name: 'images', datatype: 'UINT8', shape: [greys.length, SIZE, SIZE, 3], data };
    const message = JSON.stringify({ inputs: [images, ...more], parameters });
    return json(await http(base, 'POST', '/v2/models/model/infer', message));
  };
  const hold = async (more: readonly object[] = []) => {
    const release = engine.hold();
    const running = ask([0], {}, more);
    await vi.waitUntil(() => engine.runs.length === 1, { timeout: 20_000, interval: 5 });
    return async () => {
      release();
      expect((await running).status).toBe(200);
    };
  };
  const waiting = (count: number) => untilPending(base, count);
  const statistics = async () => json(await http(base, 'GET', '/v2/models/model/stats')).body.model_stats[0];
  return { ask, hold, waiting, statistics, runs: engine.runs };
}

it('fills one batch from several requests and tenants, and answers each what it would alone', async () => {
  const { ask, hold, waiting, statistics } = await startBusy(meanModel(SIZE, 1), 8);
  const alone = await ask([7, 9]);
  const release = await hold();
  const asked = [
    ask([1, 2, 3], { tenant: 'a' }),
    ask([7, 9], { tenant: 'b', weight: 2 }),
    ask([4], { tenant: 'c', priority: 60 }),
  ];
  await waiting(3);
  await release();
  const [a, b, c] = await Promise.all(asked);
  const batch = { batch_size: 6, device: 'cpu', queue_ms: expect.any(Number) };
  for (const answer of [a, b, c]) expect(answer).toMatchObject({ status: 200, body: { parameters: batch } });
  expect(a?.body.outputs).toEqual([
    { name: 'means', datatype: 'FP32', shape: [3, 3], data: [1, 1, 1, 2, 2, 2, 3, 3, 3] },
  ]);
  expect(b?.body.outputs).toEqual(alone.body.outputs);
  expect(c?.body.outputs[0].data).toEqual([4, 4, 4]);
  const { inference_count, execution_count, inference_stats, batch_stats } = await statistics();
  expect({ inference_count, execution_count }).toEqual({ inference_count: 9, execution_count: 3 });
  expect([inference_stats.success.count, inference_stats.queue.count]).toEqual([5, 5]);
  const sizes = batch_stats.map((each: { batch_size: number; compute_infer: { count: number } }) => [
    each.batch_size,
    each.compute_infer.count,
  ]);
  expect(sizes).toEqual([
    [2, 1],
    [1, 1],
    [6, 1],
  ]);
});

it('never runs more than the largest batch together, and what is larger alone', async () => {
  const { ask, hold, waiting } = await startBusy(meanModel(SIZE, 1), 4);
  const release = await hold();
  const sizes = [3, 2, 1, 6, 2, 1, 4, 1];
  const asked = sizes.map((size, index) => ask(Array(size).fill(index), { tenant: `t${index % 3}` }));
  await waiting(sizes.length);
  await release();
  const answers = await Promise.all(asked);
  answers.forEach(({ status, body }, index) => {
    expect(status).toBe(200);
    expect(body.outputs[0].data).toEqual(Array(3 * sizes[index]!).fill(index));
    const { batch_size } = body.parameters;
    if (sizes[index]! > 4) expect(batch_size).toBe(sizes[index]);
    else expect(batch_size).toBeLessThanOrEqual(4);
  });
  expect(answers.some(({ body }, index) => body.parameters.batch_size > sizes[index]!)).toBe(true);
});

it('lets a bad request of a batch fail alone', async () => {
  const { ask, hold, waiting, statistics } = await startBusy(failsOnWhiteModel(SIZE), 8);
  const release = await hold();
  const asked = [ask([1], { tenant: 'a' }), ask([255], { tenant: 'b' }), ask([3], { tenant: 'c' })];
  await waiting(3);
  await release();
  const [a, b, c] = await Promise.all(asked);
  expect([a?.status, b?.status, c?.status]).toEqual([200, 500, 200]);
  expect([a?.body.outputs[0].data, c?.body.outputs[0].data]).toEqual([
    [1, 1, 1],
    [3, 3, 3],
  ]);
  expect(await statistics()).toMatchObject({ inference_count: 3, execution_count: 3 });
});

it('joins nothing of a model that has an input or output without a free batch', async () => {
  const { ask, hold, waiting } = await startBusy(slowModel(SIZE), 8);
  const rounds = [{ name: 'rounds', datatype: 'INT64', shape: [1], data: [2] }];
  const release = await hold(rounds);
  const asked = [ask([1], {}, rounds), ask([2], {}, rounds)];
  await waiting(2);
  await release();
  for (const { status, body } of await Promise.all(asked)) {
    expect(status).toBe(200);
    expect(body.parameters.batch_size).toBe(1);
  }
});

it('refuses the flood of a tenant alone, and says when to come again', async () => {
  const engine = heldEngine();
  const { worker, client, artifacts } = await startWorker(
    { admission: { requests: 8, bytes: 2 ** 20 } },
    { engines: engine.engines },
  );
  const base = worker.address;
  await client.load('model', { sha256: artifacts.put(meanModel(SIZE, 1)) });
  const ask = (tenant: string) => {
    const images = { name: 'images', datatype: 'UINT8', shape: [1, SIZE, SIZE, 3], data: Array(12).fill(1) };
    const message = JSON.stringify({ inputs: [images], parameters: { tenant } });
    return http(base, 'POST', '/v2/models/model/infer', message);
  };
  const release = engine.hold();
  const flood = Array.from({ length: 12 }, () => ask('flood'));
  const refused = await Promise.race(flood);
  expect(refused.status).toBe(503);
  expect(refused.headers).toMatchObject({ 'fovea-busy': 'tenant', 'retry-after': '1' });
  await untilPending(base, 3);
  const others = [ask('one'), ask('two')];
  await untilPending(base, 5);
  release();
  const statuses = (await Promise.all(flood)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(4);
  for (const { status } of await Promise.all(others)) expect(status).toBe(200);
});
