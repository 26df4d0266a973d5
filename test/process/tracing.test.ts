import { expect, it, onTestFinished } from 'vitest';
import { sentTo, startCollector, treeOf } from '../support/otlp-collector.ts';
import { examplePicture, startServer } from '../support/server.ts';
import { startTritonLike } from '../support/triton-like.ts';
import { startWorkerCommand } from '../support/worker-command.ts';
import { clientOf, installed, kill } from './installation.ts';

const image = { base64: examplePicture() };

async function collecting() {
  const collector = await startCollector();
  onTestFinished(() => collector.close());
  return collector;
}

it('a server and its worker that are told to stop send the spans that they still have', async () => {
  const collector = await collecting();
  const place = await installed();
  const server = await place.start({ ...sentTo(collector), OTEL_BSP_SCHEDULE_DELAY: '600000' });
  expect((await clientOf(server).classify({ images: image })).errors).toEqual([]);
  expect(collector.requests).toBe(0);
  kill(server.child.pid!, 'SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0 });
  expect(collector.spans().map(({ name }) => name)).toEqual(
    expect.arrayContaining(['POST /graphql', 'classify', 'commit', 'infer']),
  );
});

it('a worker of the same machine is not told what the collector wants to be shown, and makes no spans', async () => {
  const shown: unknown[] = [];
  const collector = await startCollector((request, response) => {
    shown.push(request.headers['x-token']);
    request.resume();
    response.end();
  });
  onTestFinished(() => collector.close());
  const place = await installed();
  const server = await place.start({ ...sentTo(collector), OTEL_EXPORTER_OTLP_HEADERS: 'x-token=hidden' });
  expect((await clientOf(server).classify({ images: image })).errors).toEqual([]);
  kill(server.child.pid!, 'SIGTERM');
  const { code, stderr } = await server.ended;
  expect(code).toBe(0);
  expect(shown.length).toBeGreaterThan(0);
  expect(new Set(shown)).toEqual(new Set(['hidden']));
  expect(stderr).not.toContain('hidden');
  expect(stderr).not.toContain('spans of traces are lost');
});

it('a worker elsewhere hangs its span below the batch that it is sent, with a collector of its own', async () => {
  const [here, there] = [await collecting(), await collecting()];
  const worker = await startWorkerCommand({
    env: {
      ...sentTo(there),
      OTEL_SERVICE_NAME: 'gpu-7',
      FOVEA_WORKER_TOKEN: 'a token of sixteen characters'.replaceAll(' ', '-'),
    },
  });
  const server = await startServer({
    ...sentTo(here),
    FOVEA_WORKERS: worker.address,
    FOVEA_WORKER_TOKEN: 'a-token-of-sixteen-characters',
  });
  onTestFinished(() => server.close());
  expect((await server.operator.classify({ images: image })).errors).toEqual([]);
  await here.until((spans) => spans.some(({ name }) => name === 'POST /graphql'));
  await there.until((spans) => spans.some(({ name }) => name === 'infer'));
  const batch = here.spans().find(({ name }) => name === 'inference')!;
  expect(batch.attributes['fovea.worker']).toBe(worker.address);
  expect(treeOf([batch, ...there.spans(batch.traceId)])).toEqual([{ inference: ['infer (gpu-7)'] }]);
});

it("a server of others is told the batch's trace", async () => {
  const collector = await collecting();
  const file = new URL('../../models/shapes/shapes.onnx', import.meta.url).pathname;
  const foreign = await startTritonLike({ models: { shapes: { file, version: 1, maxBatch: 4 } } });
  onTestFinished(() => foreign.close());
  const server = await startServer({ ...sentTo(collector), FOVEA_WORKERS: foreign.url });
  onTestFinished(() => server.close());
  expect((await server.operator.classify({ images: image })).errors).toEqual([]);
  const isBatch = ({ name }: { name: string }) => name === 'inference';
  const { traceId, spanId } = (await collector.until((spans) => spans.some(isBatch))).find(isBatch)!;
  expect(foreign.traceparents).toEqual([`00-${traceId}-${spanId}-01`]);
});
