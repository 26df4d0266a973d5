import { expect, it, onTestFinished, vi } from 'vitest';
import { WorkerPool } from '../../src/inference/pool/pool.ts';
import { runWorker } from '../../src/inference/worker/worker.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { answerRollouts } from '../../src/models/rollout.ts';
import type { ServedModel, StoredVariant } from '../../src/models/served-model.ts';
import { artifactFolder } from '../support/artifact-folder.ts';
import { meanModel } from '../support/onnx-fixture.ts';
import { connectTo } from '../support/remote-worker.ts';
import { variantOf } from '../support/variants.ts';

const logger = createLogger('silent');

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

it('is asked for time and again, and answered once', async () => {
  const artifacts = artifactFolder();
  const model = modelOf(artifacts.put(meanModel(2, 2)));
  const pool = new WorkerPool(createLogger('silent'));
  const worker = await runWorker({ listen: '127.0.0.1:0', artifacts: artifacts.dir, threads: 1 }, logger);
  onTestFinished(() => worker.close());
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
  answerRollouts(notifications, { get: async () => model, find: async () => null }, pool, logger);
  const asked = JSON.stringify({ rollout: 'r', modelId: 'mean', tenantId: null });
  for (let times = 0; times < 3; times += 1) ask(asked);
  expect(answers).toEqual([]);
  pool.add(connectTo(worker.address));
  await vi.waitUntil(() => answers.length > 0, { timeout: 20_000 });
  expect(answers).toMatchObject([{ rollout: 'r', failure: null }]);
  ask(asked);
  await vi.waitUntil(() => answers.length > 1, { timeout: 20_000 });
});
