import { describe, expect, it } from 'vitest';
import { Scheduler, type Work } from '../../../src/inference/scheduler/scheduler.ts';

type Named = Work<string>;

function work(payload: string, overrides: Partial<Named> = {}): Named {
  return {
    variantKey: 'a',
    maxBatch: 4,
    tenant: 'tenant',
    weight: 1,
    priority: 'INTERACTIVE',
    cost: 1,
    deadline: Number.POSITIVE_INFINITY,
    payload,
    ...overrides,
  };
}

function payloads(scheduler: Scheduler<string>, now: number): string[] | null {
  return scheduler.next(now).batch?.works.map(({ payload }) => payload) ?? null;
}

describe('scheduler', () => {
  it('fills a batch with what waits, in the order of arrival, up to the limit of the model', () => {
    const scheduler = new Scheduler<string>();
    for (const name of ['1', '2', '3', '4', '5']) scheduler.enqueue(work(name), 0);
    expect(payloads(scheduler, 1)).toEqual(['1', '2', '3', '4']);
    expect(payloads(scheduler, 1)).toEqual(['5']);
    expect(payloads(scheduler, 1)).toBeNull();
    expect(scheduler.depth).toBe(0);
  });

  it('never mixes variants in a batch, and serves the one whose oldest image came first', () => {
    const scheduler = new Scheduler<string>();
    scheduler.enqueue(work('b1', { variantKey: 'b' }), 10);
    scheduler.enqueue(work('a1'), 5);
    scheduler.enqueue(work('b2', { variantKey: 'b' }), 11);
    expect(payloads(scheduler, 12)).toEqual(['a1']);
    expect(payloads(scheduler, 12)).toEqual(['b1', 'b2']);
  });

  it('passes over variants that no free device runs, which keep their place', () => {
    const scheduler = new Scheduler<string>();
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

  it('leaves alone what must run alone, whether it comes first or later', () => {
    const scheduler = new Scheduler<string>();
    scheduler.enqueue(work('1'), 0);
    scheduler.enqueue(work('alone', { maxBatch: 1 }), 0);
    scheduler.enqueue(work('2'), 0);
    scheduler.enqueue(work('3'), 0);
    expect(payloads(scheduler, 1)).toEqual(['1']);
    expect(payloads(scheduler, 1)).toEqual(['alone']);
    expect(payloads(scheduler, 1)).toEqual(['2', '3']);
  });

  it('lets BATCH images yield, but not starve', () => {
    const scheduler = new Scheduler<string>();
    scheduler.enqueue(work('patient', { priority: 'BATCH', maxBatch: 1 }), 0);
    scheduler.enqueue(work('urgent', { maxBatch: 1 }), 500);
    expect(payloads(scheduler, 500)).toEqual(['urgent']);
    scheduler.enqueue(work('late', { maxBatch: 1 }), 2_000);
    expect(payloads(scheduler, 2_000)).toEqual(['patient']);
    expect(payloads(scheduler, 2_000)).toEqual(['late']);
  });

  it('hands back what is past its deadline instead of running it', () => {
    const scheduler = new Scheduler<string>();
    scheduler.enqueue(work('expired', { deadline: 10 }), 0);
    scheduler.enqueue(work('alive', { deadline: 11 }), 0);
    const { batch, expired } = scheduler.next(10);
    expect(expired.map(({ payload }) => payload)).toEqual(['expired']);
    expect(batch?.works.map(({ payload }) => payload)).toEqual(['alive']);
  });

  it('looks beyond a variant of which everything has expired', () => {
    const scheduler = new Scheduler<string>();
    scheduler.enqueue(work('expired', { deadline: 1 }), 0);
    scheduler.enqueue(work('alive', { variantKey: 'b' }), 1);
    expect(payloads(scheduler, 5)).toEqual(['alive']);
  });

  it('forgets what is removed, once', () => {
    const scheduler = new Scheduler<string>();
    const left = work('left');
    scheduler.enqueue(left, 0);
    scheduler.enqueue(work('stays'), 0);
    expect(scheduler.remove(left)).toBe(true);
    expect(scheduler.remove(left)).toBe(false);
    expect(payloads(scheduler, 1)).toEqual(['stays']);
  });

  it('shares a saturated device between tenants by weight', () => {
    const scheduler = new Scheduler<string>();
    for (let i = 0; i < 400; i++) {
      scheduler.enqueue(work('heavy', { tenant: 'heavy', weight: 3 }), i);
      scheduler.enqueue(work('light', { tenant: 'light', variantKey: 'b', maxBatch: 8, cost: 2 }), i);
    }
    const computed = { heavy: 0, light: 0 };
    for (let batch = 0; batch < 60; batch++) {
      for (const { tenant, cost } of scheduler.next(1_000).batch!.works)
        computed[tenant as 'heavy' | 'light'] += cost;
    }
    // Equal to the weights but for the largest batch, which takes 16 ms.
    expect(Math.abs(computed.heavy / 3 - computed.light)).toBeLessThanOrEqual(16);
    expect(computed.light).toBeGreaterThan(30);
  });

  it('serves a tenant that comes once in a while before one that fills the queue', () => {
    const scheduler = new Scheduler<string>();
    for (let i = 0; i < 100; i++) scheduler.enqueue(work(`flood ${i}`, { tenant: 'flood' }), i);
    scheduler.next(100);
    scheduler.enqueue(work('visitor', { tenant: 'visitor' }), 101);
    expect(payloads(scheduler, 101)).toContain('visitor');
  });

  it('saves nothing up for a tenant that idles, and forgives nothing to one that comes back at once', () => {
    const scheduler = new Scheduler<string>();
    const one = { maxBatch: 1 };
    scheduler.enqueue(work('idler', { tenant: 'idler', ...one }), 0);
    scheduler.next(0);
    for (let i = 0; i < 20; i++) scheduler.enqueue(work('worker', { tenant: 'worker', ...one }), 0);
    for (let i = 0; i < 10; i++) scheduler.next(0);
    for (let i = 0; i < 5; i++) scheduler.enqueue(work('idler', { tenant: 'idler', ...one }), 1);
    const order = Array.from({ length: 10 }, () => payloads(scheduler, 1)?.[0]);
    expect(order.filter((name) => name === 'idler')).toHaveLength(5);
    expect(order.slice(0, 4).filter((name) => name === 'idler').length).toBeLessThanOrEqual(3);

    scheduler.enqueue(work('greedy', { tenant: 'greedy', cost: 50, ...one }), 2);
    scheduler.enqueue(work('modest', { tenant: 'modest', ...one }), 2);
    for (let i = 0; i < 2; i++) scheduler.next(2);
    scheduler.enqueue(work('greedy again', { tenant: 'greedy', ...one }), 2);
    scheduler.enqueue(work('modest again', { tenant: 'modest', ...one }), 3);
    const next = Array.from({ length: scheduler.depth }, () => payloads(scheduler, 3)?.[0]);
    expect(next.indexOf('modest again')).toBeLessThan(next.indexOf('greedy again'));
  });

  it('keeps every image in exactly one place through any sequence of steps', () => {
    let state = 12345;
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const scheduler = new Scheduler<string>();
    const waiting = new Set<Named>();
    for (let now = 0; now < 20_000; now++) {
      const step = random(10);
      if (step < 6) {
        const variant = random(4);
        const item = work(String(now), {
          variantKey: `variant ${variant}`,
          maxBatch: variant + 1,
          tenant: `tenant ${random(5)}`,
          weight: 1 + random(4),
          cost: 1 + random(20),
          priority: random(3) === 0 ? 'BATCH' : 'INTERACTIVE',
          deadline: now + 1 + random(200),
        });
        waiting.add(item);
        scheduler.enqueue(item, now);
      } else if (step === 6) {
        const [any] = waiting;
        if (any) {
          waiting.delete(any);
          expect(scheduler.remove(any)).toBe(true);
        }
      } else {
        const { batch, expired } = scheduler.next(now);
        for (const item of expired) {
          expect(item.deadline).toBeLessThanOrEqual(now);
          expect(waiting.delete(item as Named)).toBe(true);
        }
        for (const item of batch?.works ?? []) {
          expect(item.deadline).toBeGreaterThan(now);
          expect(item.variantKey).toBe(batch?.variantKey);
          expect(waiting.delete(item as Named)).toBe(true);
        }
        expect(batch?.works.length ?? 0).toBeLessThanOrEqual(batch?.works[0]?.maxBatch ?? 0);
        if (!batch) expect(waiting.size).toBe(0);
      }
      expect(scheduler.depth).toBe(waiting.size);
    }
  });
});
