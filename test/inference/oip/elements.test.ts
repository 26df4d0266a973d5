import { expect, it } from 'vitest';
import { bytesOf, elementsOf } from '../../../src/inference/oip/elements.ts';

it('views aligned bytes and copies misaligned ones, Buffers too', () => {
  const memory = new Uint8Array(16);
  const aligned = memory.subarray(8, 16);
  aligned.set(bytesOf(Float32Array.of(1.5, -2)));
  const viewed = elementsOf('FP32', aligned);
  expect([...viewed]).toEqual([1.5, -2]);
  expect(viewed.buffer).toBe(memory.buffer);

  for (const kind of [Uint8Array, Buffer]) {
    const odd = kind.from([0, ...bytesOf(BigInt64Array.of(-3n, 7n))]).subarray(1);
    const shifted = kind === Buffer ? Buffer.from(odd.buffer, odd.byteOffset, odd.byteLength) : odd;
    expect([...elementsOf('INT64', shifted)]).toEqual([-3n, 7n]);
  }
});
