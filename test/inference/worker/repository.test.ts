import { rmSync } from 'node:fs';
import { expect, it } from 'vitest';
import { meanModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker } from './in-process-worker.ts';

async function start() {
  const started = await startWorker();
  const { address } = started.worker;
  const post = async (path: string, body: unknown = '') =>
    json(await http(address, 'POST', path, typeof body === 'string' ? body : JSON.stringify(body)));
  const isReady = async (name: string) =>
    (await http(address, 'GET', `/v2/models/${name}/ready`)).status === 200;
  return { ...started, post, isReady };
}

const done = { status: 200, body: {} };
const loaded = { status: 200, body: { memory_bytes: expect.any(Number), unloaded: [] } };

it('lists what it holds, what it held, and what it could not load, with the reason', async () => {
  const { post, client, artifacts } = await start();
  expect(await post('/v2/repository/index')).toEqual({ status: 200, body: [] });
  const sha256 = artifacts.put(meanModel(2, 1));
  for (const name of ['kept', 'left']) await client.load(name, { sha256 });
  await post('/v2/repository/models/left/unload');
  await expect(client.load('broken', { sha256: artifacts.put(Buffer.from('no graph')) })).rejects.toThrow();
  const kept = { name: 'kept', version: '1', state: 'READY', reason: '' };
  expect((await post('/v2/repository/index')).body).toEqual([
    kept,
    { name: 'left', version: '1', state: 'UNAVAILABLE', reason: 'unloaded' },
    {
      name: 'broken',
      version: '1',
      state: 'UNAVAILABLE',
      reason: expect.stringContaining('cannot be loaded'),
    },
  ]);
  expect((await post('/v2/repository/index', { ready: false })).body).toHaveLength(3);
  expect((await post('/v2/repository/index', { ready: true })).body).toEqual([kept]);
  expect(await post('/v2/repository/index', { ready: 'yes' })).toEqual({
    status: 400,
    body: { error: 'ready: expected true or false, found "yes"' },
  });
});

it('loads again what a name held, without being told what that was', async () => {
  const { post, isReady, client, artifacts } = await start();
  const sha256 = artifacts.put(meanModel(2, 1));
  await client.load('mean', { sha256 });
  expect(await post('/v2/repository/models/mean/load')).toEqual(loaded);
  await post('/v2/repository/models/mean/unload');
  expect(await isReady('mean')).toBe(false);
  expect(await post('/v2/repository/models/mean/load', { parameters: {} })).toEqual(loaded);
  expect(await isReady('mean')).toBe(true);
});

it('brings back a model that could not be loaded once its artefact is there', async () => {
  const { post, isReady, client, artifacts } = await start();
  const graph = meanModel(2, 1);
  const sha256 = artifacts.put(graph);
  rmSync(artifacts.path(sha256));
  await expect(client.load('mean', { sha256 })).rejects.toMatchObject({ status: 404 });
  artifacts.put(graph);
  expect(await post('/v2/repository/models/mean/load')).toEqual(loaded);
  expect(await isReady('mean')).toBe(true);
});

it('is content, as Triton is, with unloading what it does not hold', async () => {
  const { post } = await start();
  expect(await post('/v2/repository/models/none/unload')).toEqual(done);
  expect(
    await post('/v2/repository/models/none/unload', { parameters: { unload_dependents: true } }),
  ).toEqual(done);
  expect((await post('/v2/repository/models/none/unload', '{')).status).toBe(400);
  expect((await post('/v2/repository/index')).body).toEqual([]);
});

it('reads the parameters of a Triton model configuration', async () => {
  const { post, isReady, artifacts } = await start();
  const sha256 = artifacts.put(meanModel(2, 1));
  const config = (parameters: unknown) => ({
    parameters: { config: JSON.stringify({ backend: 'x', parameters }) },
  });
  const text = (string_value: string) => ({ string_value });
  const load = (parameters: unknown) => post('/v2/repository/models/mean/load', config(parameters));
  expect(await load({ sha256: text(sha256), format: text('onnx'), warmup_batch: text('4') })).toEqual(loaded);
  expect(await isReady('mean')).toBe(true);
  expect((await load({ sha256 })).body.error).toMatch(/config: expected \{"string_value": "…"\} as sha256/);
  expect((await load({ sha256: text(sha256), warmup_batch: text('few') })).body.error).toMatch(
    /warmup_batch/,
  );
  const bad = await post('/v2/repository/models/mean/load', { parameters: { config: '{' } });
  expect(bad).toEqual({ status: 400, body: { error: expect.stringMatching(/^model 'mean': config: /) } });
});

it.each([
  ['a%2Fb', /slash/],
  ['a%00b', /control character/],
  ['x'.repeat(257), /1\.\.256 characters/],
  ['stats', /'stats'/],
])('refuses the name %s', async (name, message) => {
  const { post, artifacts } = await start();
  const sha256 = artifacts.put(meanModel(2, 1));
  expect(await post(`/v2/repository/models/${name}/load`, { parameters: { sha256 } })).toEqual({
    status: 400,
    body: { error: expect.stringMatching(message) },
  });
});

it('takes names of any script', async () => {
  const { client, post, artifacts } = await start();
  await client.load('Katze 猫', { sha256: artifacts.put(meanModel(2, 1)) });
  expect(await client.modelReady('Katze 猫')).toBe(true);
  expect((await post('/v2/repository/index')).body).toMatchObject([{ name: 'Katze 猫', state: 'READY' }]);
});

it('remembers a bounded number of names that hold nothing', async () => {
  const { post, client, artifacts } = await start();
  await client.load('kept', { sha256: artifacts.put(meanModel(2, 1)) });
  for (let index = 0; index < 110; index++) {
    await post(`/v2/repository/models/m${index}/load`, { parameters: { sha256: 'a'.repeat(64) } });
  }
  const { body } = await post('/v2/repository/index');
  expect(body).toHaveLength(101);
  expect(body.at(-1).name).toBe('m109');
});
