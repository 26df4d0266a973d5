import { expect, it } from 'vitest';
import { BatchBuffers } from '../../../src/inference/scheduler/batch-buffers.ts';
import { variantOf } from '../../support/variants.ts';
import { paperImages } from './paper-worker.ts';

function images(...firsts: number[]) {
  const drawn = paperImages(firsts.length);
  drawn.forEach(({ pixels }, index) => void pixels.fill(firsts[index]!));
  return drawn;
}

const small = { ...variantOf('v', 'a'.repeat(64)), maxBatch: 4 };
const imageBytes = small.input.width * small.input.height * 3;

it('a batch holds its own pixels in memory that an earlier, larger one was given back from', () => {
  const buffers = new BatchBuffers();
  const earlier = buffers.tensor(small, images(1, 2, 3, 4));
  buffers.giveBack(earlier);
  const later = buffers.tensor(small, images(5, 6));
  expect(later.data.buffer).toBe(earlier.data.buffer);
  expect(later.shape).toEqual([2, small.input.height, small.input.width, 3]);
  expect([...later.data]).toEqual([...Array(imageBytes).fill(5), ...Array(imageBytes).fill(6)]);
});

it('memory that was not given back is never used again', () => {
  const buffers = new BatchBuffers();
  const first = buffers.tensor(small, images(1, 2));
  const second = buffers.tensor(small, images(3, 4));
  expect(second.data.buffer).not.toBe(first.data.buffer);
  expect(first.data[0]).toBe(1);
});

it('a batch whose full size would not be kept takes what it needs', () => {
  const huge = { ...small, maxBatch: 16 * 2 ** 20 };
  expect(new BatchBuffers().tensor(huge, images(1, 2)).data.buffer.byteLength).toBe(2 * imageBytes);
});

it('the pixels of a lone image lie where they were, and are not given to others', () => {
  const buffers = new BatchBuffers();
  const [lone] = images(7);
  const tensor = buffers.tensor(small, [lone!]);
  expect(tensor.data).toBe(lone!.pixels);
  buffers.giveBack(tensor);
  expect(buffers.tensor(small, images(1, 2)).data.buffer).not.toBe(lone!.pixels.buffer);
});
