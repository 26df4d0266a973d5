import { expect, it } from 'vitest';
import { ModelHealth } from '../../../src/inference/model-health.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import { Dispatcher } from '../../../src/inference/scheduler/dispatcher.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { DeadlineExceededError } from '../../../src/lib/errors.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { noSpan } from '../../../src/lib/tracing/span.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { FoveaWorker } from '../../support/fovea-worker.ts';
import { slowOnBrightModel } from '../../support/onnx-fixture.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { variantOf } from '../../support/variants.ts';

/** An image takes 2 to the power of that many rounds; so does a batch of them. */
const GREY = 15;

/** A worker in a process of its own, and what API processes have to reach it, each with connections of its own. */
async function startShared() {
  const artifacts = artifactFolder();
  const worker = await FoveaWorker.start({ artifacts: artifacts.dir });
  const logger = createLogger('silent');
  const chosen = {
    ...{ model: 'slow', version: 1 },
    variant: { ...variantOf('slow', artifacts.put(slowOnBrightModel(2))), maxBatch: 4 },
  };
  const asApi = async () => {
    const pool = new WorkerPool(logger);
    const remote = connectTo(worker.address);
    pool.add(remote);
    await remote.ensureLoaded(chosen.variant);
    const health = new ModelHealth(logger, systemClock);
    const dispatcher = new Dispatcher(pool, systemClock, { maxAdmitted: 1_000, health, logger });
    const run = (tenant: string, { weight = 1, timeoutMs = 60_000, grey = GREY } = {}) => {
      const ticket = {
        ...{
          tenant,
          weight,
          plan: 'Paper',
          priority: 'INTERACTIVE' as const,
          dispatched: false,
          span: noSpan,
        },
        ...{ deadline: systemClock.elapsed() + timeoutMs, abandoned: new AbortController().signal },
      };
      return dispatcher.run(chosen, ticket, new Uint8Array(12).fill(grey));
    };
    return { run, lane: dispatcher.laneOf(remote), remote };
  };
  return { one: await asApi(), other: await asApi() };
}

it('shares a worker by weight among the tenants of all processes that use it', async () => {
  const { one, other } = await startShared();
  expect([one.remote.isShared, other.remote.isShared]).toEqual([true, true]);
  const answered: string[] = [];
  const flood = (api: typeof one, tenant: string, weight: number) =>
    Array.from({ length: 200 }, async () => {
      const { outputs } = await api.run(tenant, { weight });
      expect(outputs[0]!.shape).toEqual([3]);
      answered.push(tenant);
    });
  await Promise.all([...flood(one, 'light', 1), ...flood(other, 'heavy', 3)]);
  // While both have something waiting: without shares it would be half of them.
  const heavy = answered.slice(20, 220).filter((tenant) => tenant === 'heavy').length;
  expect(heavy).toBeGreaterThan(125);
  expect(heavy).toBeLessThan(180);
});

it('has no tenant wait for another of its own process to be served', async () => {
  const { one } = await startShared();
  const flood = Array.from({ length: 40 }, () => one.run('flood'));
  await Promise.race(flood);
  await one.run('other');
  const tenants = Array.from(one.lane.flights, ({ images }) => images.map(({ ticket }) => ticket.tenant));
  // The flood goes on, two batches at a time, each of one tenant.
  expect(tenants.length).toBeGreaterThan(0);
  for (const each of tenants) expect(new Set(each).size).toBe(1);
  expect(tenants.filter(([tenant]) => tenant === 'flood').length).toBeLessThanOrEqual(2);
  await Promise.all(flood);
});

it('tells a tenant whose time ran out at the worker, and does not hold that against the worker', async () => {
  const { one, other } = await startShared();
  // More than two batches, some half a second each. After the first the worker knows what one takes, which this process does not.
  const busy = Array.from({ length: 9 }, (_, number) => other.run(`busy ${number}`, { grey: 19 }));
  await Promise.race(busy);
  const late = one.run('late', { timeoutMs: 50 });
  await expect(late).rejects.toBeInstanceOf(DeadlineExceededError);
  await Promise.all(busy);
  expect((await one.run('late')).batchSize).toBe(1);
  expect([...one.remote.stats().faults]).toEqual([]);
  expect(one.lane.isSuspect).toBe(false);
});
