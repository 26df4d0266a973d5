import { onTestFinished, vi } from 'vitest';
import { ModelHealth } from '../../../src/inference/model-health.ts';
import { LocalWorker, type LocalWorkerOptions } from '../../../src/inference/pool/local-worker.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import type { Ticket } from '../../../src/inference/scheduler/batch.ts';
import { Dispatcher, type DispatcherOptions } from '../../../src/inference/scheduler/dispatcher.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { noSpan } from '../../../src/lib/tracing/span.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { script } from '../../support/processes.ts';
import { variantOf } from '../../support/variants.ts';

export const patience = { timeout: 60_000, interval: 20 };

/** Worker processes of this machine behind a dispatcher, ready. */
export async function dispatchedWorkers(
  workers: readonly Partial<LocalWorkerOptions>[],
  options: Pick<DispatcherOptions, 'hangMs'> = {},
) {
  const logger = createLogger('silent');
  const artifacts = artifactFolder();
  const pool = new WorkerPool(logger);
  onTestFinished(() => pool.close());
  const locals = workers.map((options, index) => {
    const worker = new LocalWorker(
      {
        ...{ name: `local-${index}`, host: pool, artifacts: artifacts.dir, threads: 1 },
        ...{ command: script('worker-main.ts'), lookMs: 100, ...options },
      },
      logger,
    );
    pool.add(worker);
    return worker;
  });
  await vi.waitUntil(() => locals.every(({ ready }) => ready), patience);
  const health = new ModelHealth(logger, systemClock);
  const dispatcher = new Dispatcher(pool, systemClock, {
    ...options,
    ...{ maxAdmitted: 1_000, health, logger },
  });
  /** Runs a picture that is grey all over. */
  const run = (variant: Variant, grey = 4, abandoned = new AbortController().signal) => {
    const ticket: Ticket = {
      ...{
        tenant: 'tenant',
        weight: 1,
        plan: 'Paper',
        priority: 'INTERACTIVE',
        deadline: performance.now() + 60_000,
      },
      ...{ abandoned, span: noSpan, dispatched: false },
    };
    const pixels = new Uint8Array(12).fill(grey);
    return dispatcher.run({ model: variant.key, version: 1, variant }, ticket, pixels);
  };
  const variant = (key: string, graph: Uint8Array = meanModel(2, 1, { note: key })) =>
    variantOf(key, artifacts.put(graph));
  const holders = ({ key }: Variant) => locals.filter((worker) => worker.holds(key));
  return { pool, locals, run, variant, holders };
}
