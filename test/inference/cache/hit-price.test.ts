import { expect, it } from 'vitest';
import { hitPrice } from '../../../src/inference/cache/hit-price.ts';

it.each([
  [1, 0, 0],
  [100, 1, 100],
  [1, 0.000001, 1],
  [3, 0.4, 2],
  [10, 0.1, 1],
  [100, 0.07, 7],
  [100, 0.29, 29],
  [1_000_000, 0.000003, 3],
])('%i units at a share of %f are %i, a fraction rounded up', (units, share, price) => {
  expect(hitPrice(units, share)).toBe(price);
});

it('is exact for every share of two decimals', () => {
  for (let percent = 0; percent <= 100; percent++) expect(hitPrice(100, percent / 100)).toBe(percent);
});
