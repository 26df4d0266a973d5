import { expect, it } from 'vitest';
import { ImageError } from '../../src/inference/images/image-error.ts';
import { ModelHealth } from '../../src/inference/model-health.ts';
import { WorkerPool } from '../../src/inference/pool/pool.ts';
import { Dispatcher } from '../../src/inference/scheduler/dispatcher.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { noTracer } from '../../src/lib/tracing/tracer.ts';
import { createMetrics } from '../../src/metrics.ts';
import { variantOf } from '../support/variants.ts';

it('a flagged variant is not hidden by another of the same name, of another tenant', async () => {
  const logger = createLogger('silent');
  const health = new ModelHealth(logger, systemClock);
  const pool = new WorkerPool(logger);
  const dispatcher = new Dispatcher(pool, systemClock, { maxAdmitted: 1, health, logger });
  const inference = { onAnswered: () => {} };
  const metrics = createMetrics({
    inference,
    dispatcher,
    pool,
    health,
    cache: null,
    tracer: noTracer,
    limits: { areShared: null },
  });
  const privateModel = (key: string) => ({
    model: 'own',
    version: 1,
    variant: variantOf(key, 'a'.repeat(64)),
  });
  const flags = async () =>
    (await metrics.getSingleMetricAsString('fovea_variant_flagged')).match(/^fovea_variant_flagged\{.*$/gm);

  health.failed(privateModel('of one'), new ImageError('INFERENCE_FAILED', 'unreadable'));
  health.failed(privateModel('of the other'), new Error('not run'));
  expect(await flags()).toEqual([expect.stringMatching(/model="own",version="1",.* 1$/)]);
  for (let times = 0; times < 100; times++) health.answered(privateModel('of one'));
  expect(await flags()).toEqual([expect.stringMatching(/ 0$/)]);
});
