import { expect, test } from 'vitest';
import { MemoryConcurrencyLimiter } from '../../src/tenants/concurrency-limiter.ts';

test('lets no more than the limit in, per key, and another as one leaves', () => {
  const limiter = new MemoryConcurrencyLimiter();
  const first = limiter.enter('a', 2);
  const second = limiter.enter('a', 2);
  expect(first).not.toBeNull();
  expect(second).not.toBeNull();
  expect(limiter.enter('a', 2)).toBeNull();
  expect(limiter.enter('b', 2)).not.toBeNull();
  expect([limiter.isFull('a', 2), limiter.isFull('a', 3), limiter.isFull('b', 2)]).toEqual([
    true,
    false,
    false,
  ]);
  first?.();
  expect(limiter.isFull('a', 2)).toBe(false);
  expect(limiter.enter('a', 2)).not.toBeNull();
  expect(limiter.enter('a', 2)).toBeNull();
});

test('leaving twice frees one place', () => {
  const limiter = new MemoryConcurrencyLimiter();
  const leave = limiter.enter('a', 2);
  limiter.enter('a', 2);
  leave?.();
  leave?.();
  expect(limiter.enter('a', 2)).not.toBeNull();
  expect(limiter.enter('a', 2)).toBeNull();
});

test('a lowered limit turns newcomers away until enough have left', () => {
  const limiter = new MemoryConcurrencyLimiter();
  const leaves = [limiter.enter('a', 3), limiter.enter('a', 3), limiter.enter('a', 3)];
  expect(limiter.enter('a', 1)).toBeNull();
  for (const leave of leaves.slice(0, 2)) leave?.();
  expect(limiter.enter('a', 1)).toBeNull();
  leaves[2]?.();
  expect(limiter.enter('a', 1)).not.toBeNull();
});

test('remembers no key that has nothing under way', () => {
  const limiter = new MemoryConcurrencyLimiter();
  for (let i = 0; i < 100; i++) limiter.enter(`k${i}`, 1)?.();
  expect(limiter.size).toBe(0);
});
