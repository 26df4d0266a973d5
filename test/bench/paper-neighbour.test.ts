import { expect, it } from 'vitest';
import { paperRatio } from '../../bench/paper-neighbour.ts';

it.each([1, 2, 4])(
  'a fair queue that lets nobody save up at least doubles the p99 of a tenant beside a flood, with batches of %i',
  (batchSize) => {
    const ratios = [0.1, 0.25].map((load) => paperRatio({ imageMs: 9, batchSize, load }));
    for (const ratio of ratios) {
      expect(ratio).toBeGreaterThan(2);
      expect(ratio).toBeLessThan(4);
    }
  },
);
