import { randomFrom } from '../models/shapes/generator/random.ts';
import { Scheduler } from '../src/inference/scheduler/scheduler.ts';
import type { BatchCosts, Work } from '../src/inference/scheduler/work.ts';
import { percentile } from './load/figures.ts';

export interface PaperDevice {
  /** Milliseconds that a batch takes, for each of its images. */
  readonly imageMs: number;
  readonly batchSize: number;
  /** What the victim offers, of what the device does. */
  readonly load: number;
}

const ARRIVALS = 20_000;
/** The neighbour always has more than a batch waiting. */
const BACKLOG = 64;

/**
 * The p99 of a tenant beside one that floods over its p99 alone, as the scheduler itself would have it: on a device that takes its
 * time for images and for nothing else, with no API, no database and no clients. Alone a tenant has all of the device, beside an
 * equal one half: so this is above 1 for any scheduler that shares and lets nobody save up.
 */
export function paperRatio(device: PaperDevice): number {
  return p99Of(device, true) / p99Of(device, false);
}

function p99Of({ imageMs, batchSize, load }: PaperDevice, isFlooded: boolean): number {
  const costs: BatchCosts = {
    batchMs: (_, images) => imageMs * images,
    batchSize: () => batchSize,
    soonestMs: () => 0,
  };
  const scheduler = new Scheduler<number>(costs);
  const random = randomFrom(1);
  const gap = () => (-Math.log(1 - random.next()) * imageMs) / load;
  const latencies: number[] = [];
  let [now, dueAt, flood] = [0, gap(), 0];
  while (latencies.length < ARRIVALS) {
    for (; dueAt <= now; dueAt += gap()) scheduler.enqueue(workOf('victim', dueAt, batchSize), dueAt);
    for (; isFlooded && flood < BACKLOG; flood += 1) scheduler.enqueue(workOf('flood', now, batchSize), now);
    const { batch } = scheduler.next(now);
    if (!batch) {
      now = dueAt;
      continue;
    }
    const ms = imageMs * batch.images;
    now += ms;
    scheduler.settle(batch, ms);
    for (const { tenant, payload } of batch.works) {
      if (tenant === 'victim') latencies.push(now - payload);
      else flood -= 1;
    }
  }
  return percentile(latencies, 99);
}

function workOf(tenant: string, dueAt: number, maxBatch: number): Work<number> {
  return {
    ...{
      variantKey: 'model',
      images: 1,
      maxBatch,
      tenant,
      weight: 1,
      priority: 'INTERACTIVE',
      payload: dueAt,
    },
    ...{ deadline: Number.POSITIVE_INFINITY, maxQueueDelayMs: 0 },
  };
}
