import { expect, it } from 'vitest';
import { ComputeEstimate } from '../../../src/inference/scheduler/compute-estimate.ts';

/** Batches of these sizes, each taking as long as `ms` says. */
function learned(sizes: readonly number[], ms: (images: number) => number): ComputeEstimate {
  const estimate = new ComputeEstimate();
  for (const images of sizes) estimate.learn('v', images, ms(images));
  return estimate;
}

const mixed = [1, 8, 8, 3, 8, 8, 8, 5, 8, 8];

it('knows nothing of a variant that has not run', () => {
  expect(new ComputeEstimate().batchMs('v', 1)).toBeNull();
});

it('tells what one image takes alone from batches in which it shares the cost of starting', () => {
  const estimate = learned(mixed, (images) => 40 + 2 * images);
  expect(estimate.batchMs('v', 1)).toBeCloseTo(42);
  expect(estimate.batchMs('v', 8)).toBeCloseTo(56);
});

it('takes the time to grow with the batch where every batch was of one size', () => {
  expect(learned([4, 4, 4], () => 20).batchMs('v', 1)).toBeCloseTo(5);
  expect(learned(Array<number>(200).fill(1), () => 20).batchMs('v', 1)).toBeCloseTo(20);
});

it('never expects an image, or a batch, to take less than no time', () => {
  const shrinking = learned(mixed, (images) => 50 - images);
  expect(shrinking.batchMs('v', 1)).toBeGreaterThan(0);
  expect(shrinking.batchMs('v', 100)).toBeGreaterThan(0);
  const steep = learned(mixed, (images) => images * images);
  expect(steep.batchMs('v', 1)).toBeGreaterThan(0);
});

it('forgets how fast it once was', () => {
  const estimate = learned([...mixed, ...mixed], (images) => 5 + images);
  for (let round = 0; round < 20; round += 1) {
    for (const images of mixed) estimate.learn('v', images, 50 + 10 * images);
  }
  expect(estimate.batchMs('v', 1)).toBeCloseTo(60);
});
