import { resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { FoveaWorker } from '../support/fovea-worker.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture, startServer } from '../support/server.ts';
import { startBeside } from '../support/server-beside.ts';
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

it('does not let a flood through one API process keep the tenant of another waiting', async () => {
  const worker = await FoveaWorker.start();
  const server = await startWith(worker.address);
  const beside = await startBeside(server, { FOVEA_WORKERS: worker.address });
  onTestFinished(() => beside.close());
  const flooder = await server.createTenant({ plan: 'Scale' });
  const other = await server.createTenant({ plan: 'Scale' });
  const elsewhere = new GraphqlClient(beside.url, other.key);
  const classify = async (client: GraphqlClient, count: number) => {
    const images = Array.from({ length: count }, (_, index) => pictures[index % 3]!);
    const { data, errors } = await client.classify({ images, timeoutMs: 60_000 });
    expect(errors).toEqual([]);
    for (const result of data!.classify.results) expect(result).toHaveProperty('labels');
  };
  await Promise.all([classify(flooder.client, 3), classify(elsewhere, 3)]);
  let flooded = 0;
  const flood = Array.from({ length: 24 }, async () => {
    await classify(flooder.client, 16);
    flooded += 1;
  });
  await Promise.race(flood);
  const before = flooded;
  await classify(elsewhere, 16);
  // As many images as the flood's, and what is decoded and on its way.
  expect(flooded - before).toBeLessThan(12);
  await Promise.all(flood);
  await server.expectExactLedger();
}, 120_000);

it('serves through a worker that stands before a server of others', async () => {
  const models = { shapes: { file: shapes, version: 1, maxBatch: 4 } };
  const upstream = await startTritonLike({ models });
  onTestFinished(() => upstream.close());
  const { address } = await startWorkerCommand({ args: ['--upstream', upstream.url] });
  const server = await startWith(address);
  const { client } = await server.createTenant({ plan: 'Pro' });
  const { data, errors } = await client.classify({ images: [...pictures, ...pictures], topK: 1 });
  expect(errors).toEqual([]);
  const labels = data!.classify.results.map((result) =>
    'labels' in result ? result.labels[0]!.label : null,
  );
  expect(labels.map((label) => label?.replaceAll(' ', '-'))).toEqual([...names, ...names]);
  expect(upstream.inferences.length).toBeGreaterThan(0);
  for (const line of upstream.inferences) expect(line).toMatch(/FP32 \[[1-4],3,64,64\]/);
});
