import { expect, it } from 'vitest';
import { DrainRate } from '../../../src/inference/scheduler/drain-rate.ts';

it('a pause in which a model loads, or a worker comes back, is no pace', () => {
  const drain = new DrainRate();
  drain.enough(true, 0);
  drain.drained(30, 9_000);
  expect(drain.rate).toBeNull();
  for (let now = 9_010; now <= 10_000; now += 10) drain.drained(20, now);
  expect(drain.rate).toBeCloseTo(2, 1);
});
