import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { meanModel } from '../../support/onnx-fixture.ts';
import { type LikeOptions, startTritonLike } from '../../support/triton-like.ts';
import { startWorkerCommand } from '../../support/worker-command.ts';
import { http, json } from './in-process-worker.ts';

const SIZE = 2;

/** A `fovea worker` before a server like Triton's, which has the model `mean`. */
async function startBefore(manner: LikeOptions['manner'] = 'triton', args: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-upstream-'));
  const file = join(folder, 'mean.onnx');
  writeFileSync(file, meanModel(SIZE, 1));
  const upstream = await startTritonLike({ models: { mean: { file, version: 3, maxBatch: 4 } }, manner });
  let isClosed = false;
  const close = async () => {
    if (!isClosed) await upstream.close();
    isClosed = true;
  };
  onTestFinished(async () => {
    await close();
    rmSync(folder, { recursive: true });
  });
  const { address: base } = await startWorkerCommand({ args: ['--upstream', upstream.url, ...args] });
  const ask = async (greys: readonly number[], parameters: object = {}, path = '/v2/models/mean') => {
    const data = greys.flatMap((grey) => Array(3 * SIZE * SIZE).fill(grey));
    const images = { name: 'images', datatype: 'UINT8', shape: [greys.length, SIZE, SIZE, 3], data };
    return json(await http(base, 'POST', `${path}/infer`, JSON.stringify({ inputs: [images], parameters })));
  };
  const get = async (path: string) => json(await http(base, 'GET', path));
  return { base, upstream, close, ask, get };
}

/** How many images each run of the upstream had. */
const sizesOf = (inferences: readonly string[]) =>
  inferences.map((line) => Number(/\[(\d+),/.exec(line)?.[1]));

it('fills batches for the upstream from several requests, to its own most', async () => {
  const { upstream, ask, get } = await startBefore();
  expect(await ask([9])).toMatchObject({ status: 200, body: { outputs: [{ data: [9, 9, 9] }] } });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, grey) => ask([grey, grey], { tenant: `tenant ${grey % 3}` })),
  );
  answers.forEach(({ status, body }, grey) => {
    expect(status).toBe(200);
    expect(body.outputs[0].data).toEqual(Array(6).fill(grey));
  });
  const sizes = sizesOf(upstream.inferences);
  expect(Math.max(...sizes)).toBe(4);
  const { body } = await get('/v2/models/mean/stats');
  expect(body.model_stats[0]).toMatchObject({ inference_count: 41, execution_count: sizes.length });
});

it('knows models, versions and configurations as the upstream does', async () => {
  const { get, ask } = await startBefore();
  const { body } = await get('/v2/models/mean/versions/3');
  expect(body).toMatchObject({ name: 'mean', versions: ['3'], platform: 'onnxruntime_onnx' });
  expect((await get('/v2/models/mean/versions/3/config')).body).toEqual({ name: 'mean', max_batch_size: 4 });
  expect((await get('/v2/models/mean/versions/3/ready')).status).toBe(200);
  expect((await get('/v2/models/mean/versions/1/ready')).status).toBe(404);
  expect((await get('/v2/models/none')).status).toBe(404);
  expect((await ask([5], {}, '/v2/models/mean/versions/3')).body.outputs[0].data).toEqual([5, 5, 5]);
  expect((await ask([5], {}, '/v2/models/none')).status).toBe(404);
});

it('sends one image at a time where the upstream takes no more, whatever --max-batch says', async () => {
  const { upstream, ask } = await startBefore('kserve', ['--max-batch', '16']);
  const answers = await Promise.all([1, 2, 3].map((grey) => ask([grey])));
  expect(answers.map(({ body }) => body.outputs[0].data[0])).toEqual([1, 2, 3]);
  expect(sizesOf(upstream.inferences)).toEqual([1, 1, 1]);
});

it('lets a request fail as the upstream fails it', async () => {
  const { ask } = await startBefore();
  const [small, large] = await Promise.all([ask([1]), ask([1, 2, 3, 4, 5])]);
  expect(small.status).toBe(200);
  expect(large).toEqual({ status: 400, body: { error: 'inference request batch-size must be <= 4' } });
});

it('is ready while the upstream is, and says that this does not answer', async () => {
  const { get, ask, close } = await startBefore();
  expect((await get('/v2/health/ready')).status).toBe(200);
  expect((await ask([1])).status).toBe(200);
  await close();
  expect((await get('/v2/health/ready')).status).toBe(503);
  expect(await ask([1])).toMatchObject({
    status: 503,
    body: { error: expect.stringContaining('does not answer') },
  });
  expect((await get('/v2/health/live')).status).toBe(200);
});

it('holds no models itself', async () => {
  const { base, get } = await startBefore();
  const { extensions } = (await get('/v2')).body;
  expect(extensions).toContain('fovea_scheduling');
  expect(extensions).not.toContain('model_repository');
  const refusal = { status: 405, body: { error: expect.stringContaining('another server has the models') } };
  for (const path of [
    '/v2/repository/models/mean/load',
    '/v2/repository/models/mean/unload',
    '/v2/repository/index',
  ])
    expect(json(await http(base, 'POST', path, '{}'))).toEqual(refusal);
  const artifact = `/v2/repository/artifacts/${'a'.repeat(64)}`;
  expect(json(await http(base, 'PUT', artifact, 'bytes'))).toEqual(refusal);
  expect(await get('/v2/memory')).toEqual(refusal);
});

it('names the setting where the upstream wants another token', async () => {
  const strict = createServer((_, response) => void response.writeHead(401).end());
  await new Promise<void>((resolve) => strict.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void strict.close());
  const upstream = `http://127.0.0.1:${(strict.address() as AddressInfo).port}`;
  const { address } = await startWorkerCommand({ args: ['--upstream', upstream] });
  expect(json(await http(address, 'GET', '/v2/health/ready'))).toMatchObject({
    status: 503,
    body: { error: expect.stringContaining('FOVEA_UPSTREAM_TOKEN is not set') },
  });
});
