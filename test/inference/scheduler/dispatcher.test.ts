import { expect, it } from 'vitest';
import { ModelHealth } from '../../../src/inference/model-health.ts';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import type { ImageOutput, Ticket } from '../../../src/inference/scheduler/batch.ts';
import { Dispatcher } from '../../../src/inference/scheduler/dispatcher.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { noSpan } from '../../../src/lib/tracing/span.ts';
import { failsOnWhiteModel } from '../../support/onnx-fixture.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { variantOf } from '../../support/variants.ts';
import { startWorker } from '../worker/in-process-worker.ts';

const red = Uint8Array.from({ length: 12 }, (_, index) => (index % 3 === 0 ? 255 : 0));
const white = new Uint8Array(12).fill(255);

/** A dispatcher with one real worker, ready, and a graph that fails on white pictures. */
async function startDispatcher() {
  const { worker: server, artifacts } = await startWorker();
  const pool = new WorkerPool(createLogger('silent'));
  const worker = connectTo(server.address);
  pool.add(worker);
  await new Promise<void>((resolve) => worker.onReady(resolve));
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  const dispatcher = new Dispatcher(pool, systemClock, {
    maxAdmitted: 100,
    health: new ModelHealth(logger, systemClock),
    logger,
  });
  const run = (variant: Variant, tenant: string, pixels: Uint8Array) => {
    const ticket: Ticket = {
      ...{ tenant, weight: 1, plan: 'Paper', priority: 'INTERACTIVE', deadline: Number.POSITIVE_INFINITY },
      ...{ abandoned: new AbortController().signal, span: noSpan, dispatched: false },
    };
    return dispatcher.run({ model: 'model', version: 1, variant }, ticket, pixels);
  };
  return {
    run,
    picky: variantOf('picky', artifacts.put(failsOnWhiteModel(2))),
    logged: () =>
      lines.map(
        (line) => JSON.parse(line) as { level: number; msg: string; variant: string; reason: string },
      ),
  };
}

const means = ({ outputs }: ImageOutput) => [...elementsOf('FP32', outputs[0]!.data)];

it('fails the image that its model fails on, and none that shares a batch with it', async () => {
  const { run, picky } = await startDispatcher();
  // While two are under way the others gather behind them.
  const first = [run(picky, 'a', red), run(picky, 'a', red)];
  const [second, culprit, third] = [run(picky, 'a', red), run(picky, 'b', white), run(picky, 'c', red)];
  await expect(culprit).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: 'the model could not be run on this image',
  });
  for (const output of await Promise.all([...first, second, third]))
    expect(means(output)).toEqual([255, 0, 0]);
  // Not the three as they were sent; the worker may run two of them together.
  expect((await second).batchSize).toBeLessThan(3);
});

it('runs together what nothing failed in', async () => {
  const { run, picky } = await startDispatcher();
  const outputs = await Promise.all([red, red, red, red, red].map((pixels) => run(picky, 'a', pixels)));
  // The worker may have run those that came first together too.
  for (const { batchSize } of outputs.slice(2)) expect(batchSize).toBeGreaterThanOrEqual(3);
});

it('logs why a model failed, once a reason', async () => {
  const { run, picky, logged } = await startDispatcher();
  for (let times = 0; times < 3; times += 1) await expect(run(picky, 'a', white)).rejects.toThrow();
  expect(logged()).toMatchObject([
    { level: 40, variant: 'picky', reason: expect.stringContaining("model 'picky' failed: ") },
  ]);
});

it('tells a model that cannot be loaded from one that fails on an image', async () => {
  const { run, picky, logged } = await startDispatcher();
  const missing = variantOf('missing', 'a'.repeat(64));
  const images = [run(picky, 'a', red), ...[1, 2].map(() => run(missing, 'a', red))];
  const outcomes = await Promise.allSettled(images);
  const refusal = {
    status: 'rejected',
    reason: { code: 'INFERENCE_FAILED', message: expect.stringContaining('not in this image') },
  };
  expect(outcomes).toMatchObject([{ status: 'fulfilled' }, refusal, refusal]);
  expect(logged()).toMatchObject([
    { level: 50, msg: 'a model could not be loaded', reason: expect.stringContaining('cannot be read') },
  ]);
});
