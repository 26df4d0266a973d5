import { resolve } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { modelFolder } from '../models/model-folder.ts';
import { runCommand } from '../support/command-line.ts';
import { FoveaWorker } from '../support/fovea-worker.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { steadyModel } from '../support/onnx-fixture.ts';
import { openServer } from '../support/open-server.ts';
import { examplePicture, startServer } from '../support/server.ts';
import { startTritonLike } from '../support/triton-like.ts';
import { startWorkerCommand } from '../support/worker-command.ts';

const shapes = resolve(import.meta.dirname, '../../models/shapes/shapes.onnx');
const names = ['red-circle', 'green-triangle', 'blue-star'];
const pictures = names.map((name) => ({ base64: examplePicture(name) }));

async function startWith(address: string) {
  const server = await startServer({ FOVEA_WORKERS: address, FOVEA_CACHE_BYTES: '0' });
  onTestFinished(() => server.close());
  return server;
}

it('gives a tenant its share by plan of a worker that another floods through another API process', async () => {
  const worker = await FoveaWorker.start();
  const server = await startWith(worker.address);
  const beside = await openServer(server, { FOVEA_WORKERS: worker.address });
  onTestFinished(() => beside.close());
  const manifest = modelFolder({
    file: steadyModel(2, 25_000),
    labels: 'red\ngreen\nblue\n',
    manifest: { name: 'steady', input: { width: 2, height: 2 } },
  });
  expect(await runCommand(server, 'models', 'import', manifest)).toMatchObject({ exitCode: 0 });
  // Four times the weight.
  const other = await server.createTenant({ plan: 'Scale' });
  const flooder = await server.createTenant({ plan: 'Pro' });
  const elsewhere = new GraphqlClient(beside.url, other.key);
  const classify = async (client: GraphqlClient) => {
    const images = Array.from({ length: 4 }, (_, index) => pictures[index % 3]!);
    const { data, errors } = await client.classify({ model: 'steady', images, timeoutMs: 60_000 });
    expect(errors).toEqual([]);
    for (const result of data!.classify.results) expect(result).toHaveProperty('labels');
  };
  await Promise.all([classify(flooder.client), classify(elsewhere)]);
  const answered: string[] = [];
  const ask = (who: 'flooder' | 'other', client: GraphqlClient) =>
    classify(client).then(() => answered.push(who));
  let isOver = false;
  const flood = Array.from({ length: 24 }, async () => {
    while (!isOver) await ask('flooder', flooder.client);
  });
  await vi.waitUntil(() => answered.length > 4);
  await Promise.all(Array.from({ length: 60 }, () => ask('other', elsewhere)));
  isOver = true;
  // Some 15, and what is on its way. A worker that ran what comes as it comes would have given each the same.
  const meanwhile = answered.slice(answered.indexOf('other'), answered.lastIndexOf('other'));
  const flooded = meanwhile.filter((who) => who === 'flooder').length;
  expect(flooded).toBeGreaterThan(0);
  expect(flooded).toBeLessThan(45);
  await Promise.all(flood);
  await server.expectExactLedger();
}, 120_000);

/** An API with a worker that stands before a server of others. */
async function startBefore(maxBatch: number) {
  const upstream = await startTritonLike({ models: { shapes: { file: shapes, version: 1, maxBatch } } });
  onTestFinished(() => upstream.close());
  const { address } = await startWorkerCommand({ args: ['--upstream', upstream.url] });
  return { server: await startWith(address), upstream };
}

it('serves through a worker that stands before a server of others', async () => {
  const { server, upstream } = await startBefore(4);
  const { client } = await server.createTenant({ plan: 'Pro' });
  const { data, errors } = await client.classify({ images: [...pictures, ...pictures], topK: 1 });
  expect(errors).toEqual([]);
  const labels = data!.classify.results.map((result) =>
    'labels' in result ? result.labels[0]!.label : null,
  );
  expect(labels.map((label) => label?.replaceAll(' ', '-'))).toEqual([...names, ...names]);
  expect(data!.classify.receipt.device).toBe('upstream');
  expect(upstream.inferences.length).toBeGreaterThan(0);
  for (const line of upstream.inferences) expect(line).toMatch(/FP32 \[[1-4],3,64,64\]/);
});

it('does not take for a run there what was waited for others', async () => {
  const { server } = await startBefore(1);
  const tenants = await Promise.all(Array.from({ length: 8 }, () => server.createTenant()));
  const ask = async ({ client }: (typeof tenants)[number]) => {
    const { data } = await client.classify({ images: [pictures[0]!] });
    return data!.classify.receipt.timings.inferenceMs;
  };
  await ask(tenants[0]!);
  const start = performance.now();
  const runs = await Promise.all([...tenants, ...tenants].map(ask));
  // One at a time.
  expect(runs.reduce((sum, ms) => sum + ms)).toBeLessThanOrEqual(performance.now() - start);
});
