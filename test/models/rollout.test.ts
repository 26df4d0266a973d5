import { expect, it, onTestFinished, vi } from 'vitest';
import { elementsOf } from '../../src/inference/oip/elements.ts';
import { RemoteWorker } from '../../src/inference/pool/remote-worker.ts';
import { runWorker } from '../../src/inference/worker/worker.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { answerRollouts, load } from '../../src/models/rollout.ts';
import type { ServedModel, StoredVariant } from '../../src/models/served-model.ts';
import { slowInputs } from '../inference/worker/in-process-worker.ts';
import { artifactFolder } from '../support/artifact-folder.ts';
import { meanModel } from '../support/onnx-fixture.ts';
import { variantOf } from '../support/variants.ts';

const logger = createLogger('silent');
const [images] = slowInputs(0);

/** A place where a worker can be started, and the worker's side of it here. */
async function place(artifacts: string) {
  const start = (listen: string) => runWorker({ listen, artifacts, threads: 1 }, logger);
  const first = await start('127.0.0.1:0');
  await first.close();
  const worker = new RemoteWorker({ baseUrl: first.address, pollMs: 20 }, logger);
  onTestFinished(() => worker.close());
  return {
    worker,
    start: async () => {
      const server = await start(first.address.replace('http://', ''));
      onTestFinished(() => server.close());
    },
    untilReady: () => new Promise<void>((resolve) => worker.onReady(resolve)),
  };
}

function modelOf(sha256: string): ServedModel {
  const variant: StoredVariant = { ...variantOf('mean', sha256), sizeBytes: 0, report: null };
  const { task, labels } = variant;
  return {
    ...{
      id: 'mean',
      tenantId: null,
      name: 'mean',
      version: 1,
      task,
      labels,
      license: null,
      description: null,
    },
    ...{ inputWidth: 2, inputHeight: 2, createdAt: new Date(0), variants: [variant] },
  };
}

it('is done without a worker that is down, which serves the model when it is back', async () => {
  const artifacts = artifactFolder();
  const model = modelOf(artifacts.put(meanModel(2, 2)));
  const [up, down] = [await place(artifacts.dir), await place(artifacts.dir)];
  const ready = up.untilReady();
  await up.start();
  await ready;
  await load(model, [down.worker, up.worker]);
  expect(down.worker.ready).toBe(false);
  const late = down.worker.infer(model.variants[0]!, [images!]);
  await down.start();
  expect(elementsOf('FP32', (await late).outputs[0]!.data)[0]).toBe(8);
});

it('waits while no worker is ready, and is done with the first', async () => {
  const artifacts = artifactFolder();
  const model = modelOf(artifacts.put(meanModel(2, 2)));
  const [late, never] = [await place(artifacts.dir), await place(artifacts.dir)];
  const loaded = load(model, [never.worker, late.worker]);
  await late.start();
  await loaded;
  expect([never.worker.ready, late.worker.ready]).toEqual([false, true]);
});

it('fails where a worker refuses the model', async () => {
  const artifacts = artifactFolder();
  const { worker, start } = await place(artifacts.dir);
  const loaded = load(modelOf('a'.repeat(64)), [worker]);
  await Promise.all([start(), expect(loaded).rejects.toMatchObject({ name: 'ModelLoadError', status: 404 })]);
});

it('is asked for time and again, and answered once', async () => {
  const artifacts = artifactFolder();
  const model = modelOf(artifacts.put(meanModel(2, 2)));
  const { worker, start } = await place(artifacts.dir);
  let ask: (payload: string) => void = () => {};
  const answers: unknown[] = [];
  const notifications = {
    subscribe: (_: string, handler: typeof ask) => {
      ask = handler;
    },
    publish: async (_: string, payload: string) => {
      answers.push(JSON.parse(payload));
    },
  };
  answerRollouts(notifications, { get: async () => model }, [worker], logger);
  const asked = JSON.stringify({ rollout: 'r', modelId: 'mean', tenantId: null });
  for (let times = 0; times < 3; times += 1) ask(asked);
  await start();
  await vi.waitUntil(() => answers.length > 0, { timeout: 20_000 });
  expect(answers).toMatchObject([{ rollout: 'r', loaded: true }]);
  ask(asked);
  await vi.waitUntil(() => answers.length > 1, { timeout: 20_000 });
});
