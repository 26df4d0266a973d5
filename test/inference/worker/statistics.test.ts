import { expect, it } from 'vitest';
import { meanModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker } from './in-process-worker.ts';

async function startWithModels() {
  const started = await startWorker();
  const base = started.worker.address;
  for (const name of ['mean', 'other']) {
    await started.client.load(name, { sha256: started.artifacts.put(meanModel(2, 1)) });
  }
  const ask = (batch: number, model = 'mean') => {
    const data = Array(12 * batch).fill(4);
    const inputs = [{ name: 'images', datatype: 'UINT8', shape: [batch, 2, 2, 3], data }];
    return http(base, 'POST', `/v2/models/${model}/infer`, JSON.stringify({ inputs }));
  };
  const statisticsAt = async (path: string) => json(await http(base, 'GET', path));
  return { ...started, base, ask, statisticsAt };
}

const some = (count: number) => ({ count, ns: count === 0 ? 0 : expect.toSatisfy((ns) => ns > 0) });

it('counts what was answered, what failed, and where the time went', async () => {
  const { ask, statisticsAt } = await startWithModels();
  const before = Date.now();
  for (const batch of [3, 1, 3]) expect((await ask(batch)).status).toBe(200);
  expect((await ask(0)).status).toBe(400);
  const { status, body } = await statisticsAt('/v2/models/mean/stats');
  expect(status).toBe(200);
  expect(body).toEqual({
    model_stats: [
      {
        name: 'mean',
        version: '1',
        last_inference: expect.toSatisfy((at) => at >= before && at <= Date.now()),
        inference_count: 7,
        execution_count: 3,
        inference_stats: {
          success: some(3),
          fail: some(1),
          queue: { count: 3, ns: expect.any(Number) },
          compute_input: some(3),
          compute_infer: some(3),
          compute_output: some(3),
          cache_hit: some(0),
        },
        batch_stats: [
          { batch_size: 3, compute_input: some(2), compute_infer: some(2), compute_output: some(2) },
          { batch_size: 1, compute_input: some(1), compute_infer: some(1), compute_output: some(1) },
        ],
      },
    ],
  });
  const { success, queue, compute_input, compute_infer, compute_output } =
    body.model_stats[0].inference_stats;
  const parts = [queue, compute_input, compute_infer, compute_output];
  // Rounded to whole nanoseconds, three times each.
  expect(parts.reduce((sum, { ns }) => sum + ns, 0)).toBeLessThanOrEqual(success.ns + 16);
});

it('answers for one model, one version, or all', async () => {
  const { ask, statisticsAt } = await startWithModels();
  await ask(1, 'other');
  const of = async (path: string) => (await statisticsAt(path)).body;
  const all = await of('/v2/models/stats');
  expect(all.model_stats.map(({ name, execution_count }: never) => [name, execution_count])).toEqual([
    ['mean', 0],
    ['other', 1],
  ]);
  expect(await of('/v2/models/other/versions/1/stats')).toEqual({ model_stats: [all.model_stats[1]] });
  expect((await statisticsAt('/v2/models/other/versions/2/stats')).status).toBe(404);
  expect((await statisticsAt('/v2/models/none/stats')).status).toBe(404);
});

it('begins anew with a model that is loaded anew, and goes on with one that is replaced', async () => {
  const { base, client, artifacts, ask, statisticsAt } = await startWithModels();
  const executions = async () =>
    (await statisticsAt('/v2/models/mean/stats')).body.model_stats[0].execution_count;
  await ask(1);
  await client.load('mean', { sha256: artifacts.put(meanModel(2, 2)) });
  await ask(1);
  expect(await executions()).toBe(2);
  await http(base, 'POST', '/v2/repository/models/mean/unload');
  expect((await statisticsAt('/v2/models/mean/stats')).status).toBe(404);
  await http(base, 'POST', '/v2/repository/models/mean/load');
  expect(await executions()).toBe(0);
});

it('tells Prometheus the same by the names of Triton', async () => {
  const { base, ask, statisticsAt } = await startWithModels();
  for (const batch of [2, 5]) await ask(batch);
  await ask(0);
  const answer = await http(base, 'GET', '/metrics');
  expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = answer.body.toString();
  const value = (name: string, model: string) => {
    const [, found] =
      new RegExp(`^nv_inference_${name}\\{model="${model}",version="1"\\} (\\d+)$`, 'm').exec(text) ?? [];
    return Number(found);
  };
  const [{ inference_stats: stats, ...totals }] = (await statisticsAt('/v2/models/mean/stats')).body
    .model_stats;
  const micros = ({ ns }: { ns: number }) => Math.round(ns / 1e3);
  expect({
    request_success: value('request_success', 'mean'),
    request_failure: value('request_failure', 'mean'),
    count: value('count', 'mean'),
    exec_count: value('exec_count', 'mean'),
    request_duration_us: value('request_duration_us', 'mean'),
    queue_duration_us: value('queue_duration_us', 'mean'),
    compute_input_duration_us: value('compute_input_duration_us', 'mean'),
    compute_infer_duration_us: value('compute_infer_duration_us', 'mean'),
    compute_output_duration_us: value('compute_output_duration_us', 'mean'),
    pending_request_count: value('pending_request_count', 'mean'),
  }).toEqual({
    request_success: 2,
    request_failure: 1,
    count: totals.inference_count,
    exec_count: totals.execution_count,
    request_duration_us: micros(stats.success),
    queue_duration_us: micros(stats.queue),
    compute_input_duration_us: micros(stats.compute_input),
    compute_infer_duration_us: micros(stats.compute_infer),
    compute_output_duration_us: micros(stats.compute_output),
    pending_request_count: 0,
  });
  expect([value('count', 'mean'), value('count', 'other')]).toEqual([7, 0]);
  expect(text).toMatch(/^# TYPE nv_inference_request_success counter$/m);
  expect(text).toMatch(/^# TYPE nv_inference_pending_request_count gauge$/m);
});
