import { expect, it } from 'vitest';
import { sizeThatPays } from '../../../src/inference/scheduler/batch-size.ts';

const line = (perImage: number, perBatch: number) => (images: number) => perImage * images + perBatch;

it('takes nearly as many images as there may be where a batch costs what one does', () => {
  expect(sizeThatPays(line(0.001, 10), 16)).toBe(15);
});

it('takes one where a batch costs what its images cost', () => {
  expect(sizeThatPays(line(10, 0), 16)).toBe(1);
});

it.each([
  [3, 1],
  [3, 3],
  [1, 5],
  [0.2, 5],
])(
  'takes no more than make each about as cheap as it gets: %d ms an image, %d a batch',
  (perImage, perBatch) => {
    const batchMs = line(perImage, perBatch);
    const least = Array.from({ length: 64 }, (_, index) => index + 1).find(
      (images) => batchMs(images) / images <= (1.1 * batchMs(64)) / 64,
    );
    expect(sizeThatPays(batchMs, 64)).toBe(least);
  },
);
