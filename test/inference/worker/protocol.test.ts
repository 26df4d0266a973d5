import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { OipError } from '../../../src/inference/oip/errors.ts';
import type { WorkerOptions } from '../../../src/inference/worker/worker.ts';
import { meanModel, slowModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker } from './in-process-worker.ts';

const { version: packageVersion } = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../../package.json'), 'utf8'),
);

/** Two images of 2 × 2 pixels: channel means 10, 20, 30 and 1, 2, 3. */
const pixels = Buffer.from([
  ...[8, 20, 30, 12, 20, 30, 10, 20, 30, 10, 20, 30],
  ...[1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3],
]);

async function startWithModel(options: Partial<WorkerOptions> = {}) {
  const started = await startWorker(options);
  const sha256 = started.artifacts.put(meanModel(2, 0.5));
  await started.client.load('mean', { sha256, warmup_batch: 8 });
  return { ...started, base: started.worker.address, sha256 };
}

it('answers a foreign client in JSON', async () => {
  const { base } = await startWithModel();
  const request = {
    id: 'r-1',
    inputs: [{ name: 'images', datatype: 'UINT8', shape: [2, 2, 2, 3], data: [...pixels] }],
  };
  const { status, body } = json(await http(base, 'POST', '/v2/models/mean/infer', JSON.stringify(request)));
  expect(status).toBe(200);
  expect(body).toMatchObject({
    model_name: 'mean',
    model_version: '1',
    id: 'r-1',
    outputs: [{ name: 'means', datatype: 'FP32', shape: [2, 3], data: [5, 10, 15, 0.5, 1, 1.5] }],
  });
  expect(body.parameters.device).toBe('cpu');
  expect(body.parameters.compute_ms).toBeGreaterThanOrEqual(0);
});

it('answers a foreign client in binary', async () => {
  const { base } = await startWithModel();
  const header = Buffer.from(
    JSON.stringify({
      inputs: [
        {
          name: 'images',
          datatype: 'UINT8',
          shape: [2, 2, 2, 3],
          parameters: { binary_data_size: pixels.length },
        },
      ],
      outputs: [{ name: 'means', parameters: { binary_data: true } }],
    }),
  );
  const answer = await http(
    base,
    'POST',
    '/v2/models/mean/versions/1/infer',
    Buffer.concat([header, pixels]),
    {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': header.length,
    },
  );
  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toBe('application/octet-stream');
  const headerLength = Number(answer.headers['inference-header-content-length']);
  expect(JSON.parse(answer.body.subarray(0, headerLength).toString()).outputs).toEqual([
    { name: 'means', datatype: 'FP32', shape: [2, 3], parameters: { binary_data_size: 24 } },
  ]);
  const tensor = answer.body.subarray(headerLength);
  expect(Array.from({ length: 6 }, (_, index) => tensor.readFloatLE(4 * index))).toEqual([
    5, 10, 15, 0.5, 1, 1.5,
  ]);
});

it('describes itself and its models', async () => {
  const { base } = await startWithModel();
  const get = async (path: string) => json(await http(base, 'GET', path));
  expect((await get('/v2')).body).toMatchObject({
    name: 'fovea',
    version: packageVersion,
    extensions: [
      'binary_tensor_data',
      'model_repository',
      'schedule_policy',
      'statistics',
      'fovea_artifacts',
      'fovea_memory',
      'fovea_scheduling',
    ],
  });
  expect((await get('/v2/health/live')).status).toBe(200);
  expect((await get('/v2/health/ready')).status).toBe(200);
  expect((await get('/v2/models/mean')).body).toEqual({
    name: 'mean',
    versions: ['1'],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'images', datatype: 'UINT8', shape: [-1, 2, 2, 3] }],
    outputs: [{ name: 'means', datatype: 'FP32', shape: [-1, 3] }],
    parameters: { memory_bytes: expect.any(Number) },
  });
  expect((await get('/v2/models/mean/versions/1')).status).toBe(200);
  expect((await get('/v2/models/mean/ready')).status).toBe(200);
  expect(json(await http(base, 'POST', '/v2/repository/index')).body).toEqual([
    { name: 'mean', version: '1', state: 'READY', reason: '' },
  ]);
});

it('says what it does not have: 404, 405, and always a reason', async () => {
  const { base } = await startWithModel();
  const cases: [string, string, number][] = [
    ['GET', '/', 404],
    ['GET', '/v2/health/well', 404],
    ['GET', '/v2/models/other', 404],
    ['GET', '/v2/models/other/ready', 404],
    ['GET', '/v2/models/mean/versions/2', 404],
    ['GET', '/v2/models/other/stats', 404],
    ['GET', '/v2/models/mean/infer', 405],
    ['POST', '/v2/health/live', 405],
    ['POST', '/v2/repository/models/mean/explode', 404],
    ['GET', '/v2/models/%E0%A4%A', 400],
  ];
  for (const [method, path, status] of cases) {
    const answer = json(await http(base, method, path));
    expect([path, answer.status]).toEqual([path, status]);
    expect(answer.body).toEqual({ error: expect.stringMatching(/./) });
  }
  const { status } = json(
    await http(
      base,
      'POST',
      '/v2/models/other/infer',
      '{"inputs":[{"name":"x","datatype":"BOOL","shape":[1],"data":[true]}]}',
    ),
  );
  expect(status).toBe(404);
});

it.each([
  [
    'another type',
    { datatype: 'FP32' as const, data: new Uint8Array(96) },
    /'images': expected UINT8 \[-1,2,2,3\], found FP32 \[2,2,2,3\]/,
  ],
  [
    'another shape',
    { shape: [1, 2, 4, 3] },
    /'images': expected UINT8 \[-1,2,2,3\], found UINT8 \[1,2,4,3\]/,
  ],
  ['another rank', { shape: [24] }, /'images': expected .*, found UINT8 \[24\]/],
  [
    'no images',
    { shape: [0, 2, 2, 3], data: new Uint8Array(0) },
    /'images': expected .*, found UINT8 \[0,2,2,3\]/,
  ],
  ['another name', { name: 'pictures' }, /'pictures': the model has no such input, expected 'images'/],
])('refuses an input of %s with 400', async (_, change, message) => {
  const { client } = await startWithModel();
  const input = { name: 'images', datatype: 'UINT8' as const, shape: [2, 2, 2, 3], data: pixels, ...change };
  const error = await client.infer('mean', [input]).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(OipError);
  expect(error).toMatchObject({ status: 400, message: expect.stringMatching(message) });
});

it('refuses a missing input and an unknown output, and serves the outputs asked for', async () => {
  const { client, artifacts } = await startWithModel();
  await client.load('slow', { sha256: artifacts.put(slowModel(2)) });
  const images = { name: 'images', datatype: 'UINT8' as const, shape: [2, 2, 2, 3], data: pixels };
  const rounds = {
    name: 'rounds',
    datatype: 'INT64' as const,
    shape: [1],
    data: Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]),
  };
  await expect(client.infer('slow', [images])).rejects.toThrow(
    "input 'rounds': expected INT64 [1], found nothing",
  );
  await expect(client.infer('slow', [images, rounds], { outputs: ['boxes'] })).rejects.toThrow(
    "output 'boxes': the model has no such output, expected 'means', 'counted'",
  );
  const { outputs } = await client.infer('slow', [images, rounds], { outputs: ['counted'] });
  expect(
    outputs.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, data: [...data] })),
  ).toEqual([{ name: 'counted', datatype: 'INT64', shape: [1], data: [3, 0, 0, 0, 0, 0, 0, 0] }]);
});

it('bounds the body, whether or not its length is announced', async () => {
  const { worker, client } = await startWithModel({ maxBodyBytes: 100_000 });
  const image = {
    name: 'images',
    datatype: 'UINT8' as const,
    shape: [100_000],
    data: new Uint8Array(100_000),
  };
  await expect(client.infer('mean', [image])).rejects.toMatchObject({ status: 413 });
  const chunked = await http(worker.address, 'POST', '/v2/repository/index', Buffer.alloc(150_000, ' '), {
    'transfer-encoding': 'chunked',
  });
  expect(json(chunked)).toMatchObject({
    status: 413,
    body: { error: expect.stringContaining('100000 bytes') },
  });
  expect(await client.serverReady()).toBe(true);
});
