import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { OipClient } from '../../../src/inference/oip/client.ts';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { meanModel, singleImageModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker } from './in-process-worker.ts';

/** The first channel's mean of one image of fours, times the model's gain. */
async function fourTimesGain(client: OipClient, model: string): Promise<number | undefined> {
  const images = {
    name: 'images',
    datatype: 'UINT8' as const,
    shape: [1, 2, 2, 3],
    data: new Uint8Array(12).fill(4),
  };
  const { outputs } = await client.infer(model, [images]);
  return elementsOf('FP32', outputs[0]!.data)[0];
}

it('loads, replaces and unloads', async () => {
  const { worker, client, artifacts } = await startWorker();
  const [one, two] = [artifacts.put(meanModel(2, 1)), artifacts.put(meanModel(2, 2))];
  expect(await client.modelReady('mean')).toBe(false);
  await client.load('mean', { sha256: one });
  expect(await client.modelReady('mean')).toBe(true);
  expect(await fourTimesGain(client, 'mean')).toBe(4);
  await client.load('mean', { sha256: two });
  expect(await fourTimesGain(client, 'mean')).toBe(8);
  const unloaded = await http(worker.address, 'POST', '/v2/repository/models/mean/unload');
  expect(unloaded.status).toBe(200);
  expect(await client.modelReady('mean')).toBe(false);
  await expect(fourTimesGain(client, 'mean')).rejects.toMatchObject({ status: 404 });
});

it('keeps serving a model that is asked to become one that cannot be loaded', async () => {
  const { client, artifacts } = await startWorker();
  await client.load('mean', { sha256: artifacts.put(meanModel(2, 1)) });
  const broken = artifacts.put(Buffer.from('no graph'));
  await expect(client.load('mean', { sha256: broken })).rejects.toMatchObject({
    status: 400,
    message: expect.stringMatching(/^model 'mean' cannot be loaded: ./),
  });
  expect(await fourTimesGain(client, 'mean')).toBe(4);
});

it('takes concurrent loads of a name as one, reading the artefact once', async () => {
  const { client, artifacts } = await startWorker();
  const sha256 = artifacts.put(meanModel(2, 1));
  await Promise.all([client.load('mean', { sha256 }), client.load('mean', { sha256 })]);
  // Had it to be read again, it would be missed.
  renameSync(artifacts.path(sha256), `${artifacts.path(sha256)}.gone`);
  await client.load('mean', { sha256 });
  expect(await fourTimesGain(client, 'mean')).toBe(4);
});

it('loads a name anew where what is asked for differs in more than the artefact', async () => {
  const { client, artifacts } = await startWorker();
  const sha256 = artifacts.put(singleImageModel(2));
  await client.load('single', { sha256, warmup_batch: 1 });
  // What it was tried with is not enough.
  await expect(client.load('single', { sha256, warmup_batch: 8 })).rejects.toThrow(/fails on 8 images/);
  await expect(client.load('single', { sha256, format: 'tfjs-graph' })).rejects.toMatchObject({
    status: 400,
  });
  expect(await fourTimesGain(client, 'single')).toBe(4);
});

it('takes concurrent loads of two artefacts under a name one after the other', async () => {
  const { client, artifacts } = await startWorker();
  const hashes = [1, 2, 3].map((gain) => artifacts.put(meanModel(2, gain)));
  await Promise.all(hashes.map((sha256) => client.load('mean', { sha256 })));
  expect([4, 8, 12]).toContain(await fourTimesGain(client, 'mean'));
});

it('does not mix up models or inputs when runs and replacements meet', async () => {
  const { client, artifacts } = await startWorker();
  const hashes = [1, 2].map((gain) => artifacts.put(meanModel(2, gain)));
  await client.load('a', { sha256: hashes[0]! });
  await client.load('b', { sha256: hashes[1]! });
  const answers = Promise.all(
    Array.from({ length: 40 }, (_, index) => fourTimesGain(client, index % 2 === 0 ? 'a' : 'b')),
  );
  await client.load('c', { sha256: hashes[0]! });
  await client.load('c', { sha256: hashes[1]! });
  expect(await answers).toEqual(Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 4 : 8)));
});

it.each([
  ['../../../../etc/passwd', 400, /64 lower-case hexadecimal/],
  ['A'.repeat(64), 400, /64 lower-case hexadecimal/],
  [`${'a'.repeat(64)}\n`, 400, /64 lower-case hexadecimal/],
  ['a'.repeat(64), 404, /not in/],
])('refuses the hash %j', async (sha256, status, message) => {
  const { client } = await startWorker();
  await expect(client.load('mean', { sha256 })).rejects.toMatchObject({
    status,
    message: expect.stringMatching(message),
  });
});

it('says where its whole folder is missing', async () => {
  const { client, artifacts } = await startWorker();
  const sha256 = artifacts.put(meanModel(2, 1));
  renameSync(artifacts.dir, `${artifacts.dir}-gone`);
  onTestFinished(() => rmSync(`${artifacts.dir}-gone`, { recursive: true }));
  await expect(client.load('mean', { sha256 })).rejects.toMatchObject({
    status: 404,
    message: expect.stringContaining(`the artefact folder ${artifacts.dir} cannot be opened`),
  });
});

it('refuses an artefact whose bytes are not those of its name', async () => {
  const { client, artifacts } = await startWorker();
  const sha256 = artifacts.put(meanModel(2, 1));
  writeFileSync(artifacts.path(sha256), meanModel(2, 2));
  await expect(client.load('mean', { sha256 })).rejects.toMatchObject({
    status: 400,
    message: expect.stringMatching(/its content hashes to [0-9a-f]{64}/),
  });
});

it('refuses links, to a file and on the way to it', async () => {
  const { client, artifacts } = await startWorker();
  const file = artifacts.put(meanModel(2, 1));
  renameSync(artifacts.path(file), `${artifacts.dir}/elsewhere`);
  symlinkSync(`${artifacts.dir}/elsewhere`, artifacts.path(file));
  await expect(client.load('mean', { sha256: file })).rejects.toMatchObject({
    status: 400,
    message: /links/,
  });

  const inFolder = artifacts.put(meanModel(2, 2));
  const folder = dirname(artifacts.path(inFolder));
  renameSync(folder, `${artifacts.dir}/folder`);
  symlinkSync(`${artifacts.dir}/folder`, folder);
  await expect(client.load('mean', { sha256: inFolder })).rejects.toMatchObject({
    status: 400,
    message: /links/,
  });

  const directory = 'd'.repeat(64);
  mkdirSync(artifacts.path(directory), { recursive: true });
  await expect(client.load('mean', { sha256: directory })).rejects.toMatchObject({
    status: 400,
    message: /plain file/,
  });
});

it('finds out before serving that a graph takes one image alone', async () => {
  const { client, artifacts } = await startWorker();
  const sha256 = artifacts.put(singleImageModel(2));
  await expect(client.load('single', { sha256, warmup_batch: 8 })).rejects.toMatchObject({
    status: 400,
    message: expect.stringMatching(/fails on 8 images of noise/),
  });
  await client.load('single', { sha256, warmup_batch: 1 });
  expect(await fourTimesGain(client, 'single')).toBe(4);
});

it('warms a graph of a fixed batch with that batch', async () => {
  const { worker, client, artifacts } = await startWorker();
  await client.load('two', { sha256: artifacts.put(meanModel(2, 1, { batch: 2 })), warmup_batch: 8 });
  expect(json(await http(worker.address, 'GET', '/v2/models/two')).body.inputs).toEqual([
    { name: 'images', datatype: 'UINT8', shape: [2, 2, 2, 3] },
  ]);
});

it.each([
  ['{"parameters":{}}', /sha256/],
  ['{"parameters":{"sha256":7}}', /sha256/],
  ['{"parameters":{"sha256":"x","format":"pickle"}}', /format.*onnx.*'pickle'/],
  ['{"parameters":{"sha256":"x","warmup_batch":0}}', /warmup_batch/],
  ['{"parameters":', /not JSON/],
  ['[]', /object/],
])('refuses to load with the body %s', async (body, message) => {
  const { worker } = await startWorker();
  const answer = json(await http(worker.address, 'POST', '/v2/repository/models/mean/load', body));
  expect(answer).toEqual({ status: 400, body: { error: expect.stringMatching(message) } });
});
