import { ModelHealth } from '../../../src/inference/model-health.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import type { InferenceWorker } from '../../../src/inference/pool/worker.ts';
import type { ImageOutput, Ticket } from '../../../src/inference/scheduler/batch.ts';
import { Dispatcher } from '../../../src/inference/scheduler/dispatcher.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { noSpan } from '../../../src/lib/tracing/span.ts';
import { variantOf } from '../../support/variants.ts';

/** A dispatcher over these workers. `run` asks for a picture with the given first byte. */
export function dispatcherOver(workers: readonly InferenceWorker[], of: Partial<Variant> = {}) {
  const logger = createLogger('silent');
  const pool = new WorkerPool(logger);
  const health = new ModelHealth(logger, systemClock);
  const dispatcher = new Dispatcher(pool, systemClock, { maxAdmitted: 100_000, health, logger });
  for (const worker of workers) pool.add(worker);
  const variant = { ...variantOf('v', 'a'.repeat(64)), ...of };
  const run = (first: number, overrides: Partial<Ticket> = {}): Promise<ImageOutput> => {
    const ticket: Ticket = {
      ...{
        tenant: 'tenant',
        weight: 1,
        plan: 'Paper',
        priority: 'INTERACTIVE',
        span: noSpan,
        dispatched: false,
      },
      ...{ deadline: Number.POSITIVE_INFINITY, abandoned: new AbortController().signal },
      ...overrides,
    };
    const pixels = new Uint8Array(12);
    pixels[0] = first;
    return dispatcher.run({ model: 'model', version: 1, variant }, ticket, pixels);
  };
  return { dispatcher, run };
}
