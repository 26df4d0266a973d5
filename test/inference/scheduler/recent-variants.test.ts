import { expect, it } from 'vitest';
import { LearnedCosts } from '../../../src/inference/scheduler/learned-costs.ts';

it('of more than a thousand variants the one that was not asked about for longest is as if it had never run', () => {
  const costs = new LearnedCosts();
  for (const variant of ['asked', 'forgotten']) costs.learn(variant, 1, 50, 0);
  for (let other = 0; other < 999; other++) {
    expect(costs.batchMs('asked', 1)).toBeCloseTo(50);
    costs.learn(`other ${other}`, 1, 2, 0);
  }
  expect(costs.soonestMs('asked', 0)).toBeCloseTo(50);
  expect(costs.soonestMs('forgotten', 0)).toBe(0);
});
