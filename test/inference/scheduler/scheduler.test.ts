import { describe, expect, it } from 'vitest';
import { QUANTUM_MS, Scheduler, serviceGapBoundMs } from '../../../src/inference/scheduler/scheduler.ts';
import type { BatchCosts, Work } from '../../../src/inference/scheduler/work.ts';
import { paperCosts } from './paper-costs.ts';

type Named = Work<string>;

/** Larger batches are no cheaper, but are not made smaller for that. */
const flat = paperCosts(() => ({ perImageMs: 1, perBatchMs: 0 }), {
  batchSize: (_, maxBatch) => maxBatch,
});

const schedulerWith = (costs: Partial<BatchCosts> = {}) => new Scheduler<string>({ ...flat, ...costs });

function work(payload: string, overrides: Partial<Named> = {}): Named {
  return {
    ...{ variantKey: 'a', images: 1, maxBatch: 4, tenant: 'tenant', weight: 1, priority: 'INTERACTIVE' },
    ...{ deadline: Number.POSITIVE_INFINITY, maxQueueDelayMs: 0, payload },
    ...overrides,
  };
}

function payloads(scheduler: Scheduler<string>, now: number): string[] | null {
  return scheduler.next(now).batch?.works.map(({ payload }) => payload) ?? null;
}

function enqueue(scheduler: Scheduler<string>, count: number, overrides: Partial<Named>, now = 0): void {
  for (let i = 0; i < count; i += 1)
    scheduler.enqueue(work(overrides.payload ?? overrides.tenant!, overrides), now);
}

describe('a batch', () => {
  it('is filled with what waits, in the order of arrival, up to the limit of the model', () => {
    const scheduler = schedulerWith();
    for (const name of ['1', '2', '3', '4', '5']) scheduler.enqueue(work(name), 0);
    expect(payloads(scheduler, 1)).toEqual(['1', '2', '3', '4']);
    expect(payloads(scheduler, 1)).toEqual(['5']);
    expect(payloads(scheduler, 1)).toBeNull();
    expect(scheduler.depth).toBe(0);
  });

  it('never mixes variants, and serves the one whose oldest image came first', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('b1', { variantKey: 'b' }), 5);
    scheduler.enqueue(work('a1'), 10);
    scheduler.enqueue(work('b2', { variantKey: 'b' }), 11);
    expect(payloads(scheduler, 12)).toEqual(['b1', 'b2']);
    expect(payloads(scheduler, 12)).toEqual(['a1']);
  });

  it('counts images, not requests, and splits none', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('three', { images: 3 }), 0);
    scheduler.enqueue(work('two', { images: 2, tenant: 'other' }), 0);
    scheduler.enqueue(work('one', { tenant: 'third' }), 0);
    scheduler.enqueue(work('nine', { images: 9 }), 0);
    expect(scheduler.depth).toBe(15);
    expect(payloads(scheduler, 1)).toEqual(['three', 'one']);
    expect(payloads(scheduler, 1)).toEqual(['two']);
    expect(scheduler.next(1).batch).toMatchObject({ images: 9, estimatedMs: 9 });
  });

  it('is no larger than pays', () => {
    const scheduler = new Scheduler<string>(paperCosts(() => ({ perImageMs: 10, perBatchMs: 2 })));
    enqueue(scheduler, 10, { tenant: 'a', maxBatch: 8 });
    expect(payloads(scheduler, 0)).toHaveLength(2);
  });

  it('leaves alone what must run alone, whether it comes first or later', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('1'), 0);
    scheduler.enqueue(work('alone', { maxBatch: 1 }), 0);
    scheduler.enqueue(work('2'), 0);
    scheduler.enqueue(work('3'), 0);
    expect(payloads(scheduler, 1)).toEqual(['1']);
    expect(payloads(scheduler, 1)).toEqual(['alone']);
    expect(payloads(scheduler, 1)).toEqual(['2', '3']);
  });

  it('is not of variants that no free device runs, which keep their place', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('a1'), 0);
    scheduler.enqueue(work('b1', { variantKey: 'b' }), 1);
    scheduler.enqueue(work('a2'), 2);
    expect([...scheduler.waiting]).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    const { batch } = scheduler.next(3, (variantKey) => variantKey !== 'a');
    expect(batch?.works.map(({ payload }) => payload)).toEqual(['b1']);
    expect(scheduler.next(3, (variantKey) => variantKey === 'b').batch).toBeNull();
    expect([...scheduler.waiting]).toEqual([['a', 2]]);
    expect(payloads(scheduler, 3)).toEqual(['a1', 'a2']);
    expect([...scheduler.waiting]).toEqual([]);
  });

  it('has nothing that was removed, which can be done once', () => {
    const scheduler = schedulerWith();
    const left = work('left');
    scheduler.enqueue(left, 0);
    scheduler.enqueue(work('stays'), 0);
    expect(scheduler.remove(left)).toBe(true);
    expect(scheduler.remove(left)).toBe(false);
    expect(payloads(scheduler, 1)).toEqual(['stays']);
  });
});

describe('a deadline', () => {
  it('that cannot be met is reported instead of run', () => {
    const scheduler = schedulerWith({ soonestMs: () => 3 });
    scheduler.enqueue(work('expired', { deadline: 13 }), 0);
    scheduler.enqueue(work('alive', { deadline: 14 }), 0);
    const { batch, expired } = scheduler.next(10);
    expect(expired.map(({ payload }) => payload)).toEqual(['expired']);
    expect(batch?.works.map(({ payload }) => payload)).toEqual(['alive']);
  });

  it('of a whole variant lets the next one run', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('expired', { deadline: 1 }), 0);
    scheduler.enqueue(work('alive', { variantKey: 'b' }), 1);
    expect(payloads(scheduler, 5)).toEqual(['alive']);
  });

  it('keeps a batch so small that it is met', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('tight', { deadline: 12 }), 0);
    enqueue(scheduler, 3, { tenant: 'patient' });
    expect(payloads(scheduler, 10)).toEqual(['tight', 'patient']);
  });

  it('that would be missed in any batch makes none smaller', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('lucky', { deadline: 10.5 }), 0);
    enqueue(scheduler, 3, { tenant: 'patient' });
    expect(payloads(scheduler, 10)).toHaveLength(4);
  });
});

describe('priorities', () => {
  it('let BATCH images yield, but not starve', () => {
    const scheduler = schedulerWith();
    const one = { maxBatch: 1 };
    scheduler.enqueue(work('patient', { tenant: 'patient', priority: 'BATCH', ...one }), 0);
    scheduler.enqueue(work('urgent', one), 500);
    expect(payloads(scheduler, 500)).toEqual(['urgent']);
    scheduler.enqueue(work('late', { tenant: 'late', ...one }), 999);
    expect(payloads(scheduler, 999)).toEqual(['late']);
    scheduler.enqueue(work('later', one), 1_000);
    expect(payloads(scheduler, 1_000)).toEqual(['patient']);
  });

  it('give a tenant with BATCH alone its share beside one with a flood of interactive images', () => {
    const scheduler = schedulerWith();
    enqueue(scheduler, 500, { tenant: 'flood' });
    enqueue(scheduler, 500, { tenant: 'patient', variantKey: 'b', priority: 'BATCH' });
    const served = servedIn(scheduler, 100, 10);
    expect(Math.abs(served.get('flood')! - served.get('patient')!)).toBeLessThanOrEqual(serviceGapBoundMs(4));
  });

  it("put a tenant's interactive images before its BATCH ones, which get every fourth place once they are old", () => {
    const scheduler = schedulerWith();
    enqueue(scheduler, 100, { priority: 'BATCH', payload: 'batch', maxBatch: 1 });
    enqueue(scheduler, 100, { payload: 'interactive', maxBatch: 1 }, 10);
    const names = (now: number) => Array.from({ length: 8 }, () => payloads(scheduler, now)![0]);
    expect(new Set(names(900))).toEqual(new Set(['interactive']));
    expect(names(2_000).filter((name) => name === 'batch')).toHaveLength(2);
  });
});

describe('tenants', () => {
  it('share a saturated device by weight, whatever they ask for', () => {
    const scheduler = schedulerWith();
    for (const [tenant, weight] of [['one', 1] as const, ['two', 2] as const, ['four', 4] as const]) {
      enqueue(scheduler, 2_000, { tenant, weight, variantKey: tenant, maxBatch: 8 / weight });
    }
    const served = servedIn(scheduler, 3_000, 0);
    const perWeight = [served.get('one')!, served.get('two')! / 2, served.get('four')! / 4];
    expect(Math.min(...perWeight)).toBeGreaterThan(400);
    expect(Math.max(...perWeight) - Math.min(...perWeight)).toBeLessThanOrEqual(serviceGapBoundMs(8));
  });

  it('that come once in a while are served before one that fills the queue', () => {
    const scheduler = schedulerWith();
    enqueue(scheduler, 100, { tenant: 'flood' });
    scheduler.next(0);
    scheduler.enqueue(work('visitor', { tenant: 'visitor', variantKey: 'b' }), 1);
    expect(payloads(scheduler, 1)).toEqual(['visitor']);
  });

  it('save nothing up by idling', () => {
    const scheduler = schedulerWith();
    enqueue(scheduler, 1_000, { tenant: 'busy', maxBatch: 1 });
    enqueue(scheduler, 1, { tenant: 'idler', maxBatch: 1 });
    servedIn(scheduler, 200, 0);
    enqueue(scheduler, 500, { tenant: 'idler', maxBatch: 1 }, 1);
    const served = servedIn(scheduler, 400, 1);
    expect(served.get('idler')! - served.get('busy')!).toBeLessThanOrEqual(serviceGapBoundMs(1));
  });

  it('get no second share in a round by coming and going', () => {
    const scheduler = schedulerWith();
    const served = new Map([['stays', 0]]);
    enqueue(scheduler, 1_000, { tenant: 'stays', maxBatch: 1 });
    scheduler.enqueue(work('comes', { tenant: 'comes', maxBatch: 1 }), 0);
    for (let now = 0; now < 400; now += 1) {
      const [{ tenant }] = scheduler.next(now).batch!.works as [Named];
      served.set(tenant, (served.get(tenant) ?? 0) + 1);
      if (tenant === 'comes') scheduler.enqueue(work('comes', { tenant, maxBatch: 1 }), now);
    }
    expect(Math.abs(served.get('comes')! - served.get('stays')!)).toBeLessThanOrEqual(serviceGapBoundMs(1));
  });

  it('find their debt as they left it, less what was granted since', () => {
    const scheduler = schedulerWith({
      batchMs: (variantKey, images) => (variantKey === 'dear' ? 95 : images),
    });
    scheduler.enqueue(work('greedy', { tenant: 'greedy', variantKey: 'dear' }), 0);
    enqueue(scheduler, 200, { tenant: 'modest', maxBatch: 1 });
    expect(payloads(scheduler, 0)).toEqual(['greedy']);
    scheduler.enqueue(work('greedy', { tenant: 'greedy' }), 0);
    const names = Array.from({ length: 120 }, () => payloads(scheduler, 0)![0]);
    const at = names.indexOf('greedy');
    expect(at).toBeGreaterThanOrEqual(95 - QUANTUM_MS);
    expect(at).toBeLessThanOrEqual(95 + QUANTUM_MS);
  });

  it('owe nothing any more once a device was free and nobody wanted it', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('greedy', { tenant: 'greedy', images: 95 }), 0);
    scheduler.next(0);
    expect(scheduler.tenants).toBe(1);
    expect(payloads(scheduler, 1)).toBeNull();
    expect(scheduler.tenants).toBe(0);
  });

  it('are forgotten once they owe nothing, while others keep the device busy', () => {
    const scheduler = schedulerWith();
    enqueue(scheduler, 10_000, { tenant: 'busy' });
    for (let visit = 0; visit < 1_000; visit += 1) {
      scheduler.enqueue(work('visitor', { tenant: `visitor ${visit}` }), visit);
      scheduler.next(visit);
    }
    expect(scheduler.tenants).toBeLessThan(50);
  });

  it('pay what their batch did cost instead of what it should', () => {
    const order = (actualMs: number) => {
      const scheduler = schedulerWith();
      enqueue(scheduler, 50, { tenant: 'a', variantKey: 'a', maxBatch: 1 });
      enqueue(scheduler, 50, { tenant: 'b', variantKey: 'b', maxBatch: 1 });
      const { batch } = scheduler.next(0);
      expect(batch!.works[0]!.tenant).toBe('a');
      scheduler.settle(batch!, actualMs);
      scheduler.settle(batch!, actualMs);
      return Array.from({ length: 20 }, () => payloads(scheduler, 0)![0]);
    };
    expect(order(9).slice(0, 8)).toEqual(Array(8).fill('b'));
    expect(order(0).slice(0, 1)).toEqual(['a']);
  });
});

describe('a variant that may wait for a fuller batch', () => {
  const patient = { maxQueueDelayMs: 10 };

  it('runs when the batch is full, or its oldest image has waited that long, and says when to ask again', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('1', patient), 0);
    expect(scheduler.next(1)).toEqual({ batch: null, expired: [], askAgainAt: 10 });
    scheduler.enqueue(work('2', patient), 4);
    expect(scheduler.next(4)).toMatchObject({ batch: null, askAgainAt: 10 });
    expect(payloads(scheduler, 10)).toEqual(['1', '2']);
    for (const name of ['3', '4', '5', '6']) scheduler.enqueue(work(name, patient), 11);
    expect(payloads(scheduler, 11)).toEqual(['3', '4', '5', '6']);
  });

  it('keeps nobody else from the device', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('waits', patient), 0);
    scheduler.enqueue(work('runs', { variantKey: 'b' }), 1);
    expect(payloads(scheduler, 1)).toEqual(['runs']);
    expect(scheduler.next(1)).toMatchObject({ batch: null, askAgainAt: 10 });
  });

  it('never waits beyond what a deadline allows', () => {
    const scheduler = schedulerWith();
    scheduler.enqueue(work('1', { ...patient, deadline: 9 }), 0);
    expect(scheduler.next(1)).toMatchObject({ batch: null, askAgainAt: 5 });
    expect(payloads(scheduler, 5)).toEqual(['1']);
  });

  it('saves up nothing while it waits', () => {
    const scheduler = schedulerWith();
    enqueue(scheduler, 1, { tenant: 'waits', maxQueueDelayMs: 1_000, variantKey: 'b', maxBatch: 2 });
    enqueue(scheduler, 1_000, { tenant: 'busy', maxBatch: 1 });
    servedIn(scheduler, 500, 0);
    enqueue(scheduler, 400, { tenant: 'waits', variantKey: 'b', maxBatch: 2 }, 1);
    const served = servedIn(scheduler, 400, 1);
    expect(served.get('waits')! - served.get('busy')!).toBeLessThanOrEqual(serviceGapBoundMs(2));
  });
});

/** Device time by tenant in so many milliseconds of it. */
function servedIn(scheduler: Scheduler<string>, deviceMs: number, now: number): Map<string, number> {
  const served = new Map<string, number>();
  for (let spent = 0; spent < deviceMs; ) {
    const { batch } = scheduler.next(now);
    for (const { tenant, images } of batch!.works)
      served.set(tenant, (served.get(tenant) ?? 0) + (images * batch!.estimatedMs) / batch!.images);
    spent += batch!.estimatedMs;
  }
  return served;
}
