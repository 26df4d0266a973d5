import { describe, expect, it } from 'vitest';
import { halfBits } from '../../../src/inference/foreign/half-bits.ts';
import { preparePixels } from '../../../src/inference/foreign/prepare-pixels.ts';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import type { Preprocessing } from '../../../src/inference/preprocessing.ts';
import { originalTensor, proofPictures } from '../../../src/models/proof-pictures.ts';

const width = 5;
const height = 3;
const pictures = proofPictures(width, height);
const pixels = Buffer.concat(pictures);
const scalings = [
  { scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
  { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  { scale: 1 / 127.5, mean: [1, 1, 1], std: [1, 1, 1] },
  { scale: 1, mean: [104, 117, 123], std: [58, 57, 57] },
];
const preparations = (['NCHW', 'NHWC'] as const).flatMap((layout) =>
  (['RGB', 'BGR', 'GRAY'] as const).flatMap((color) =>
    scalings.map(({ scale, mean, std }): Preprocessing => {
      const channels = color === 'GRAY' ? 1 : 3;
      return {
        ...{ layout, color, width, height, scale },
        ...{ mean: mean.slice(0, channels), std: std.slice(0, channels) },
      };
    }),
  ),
);

describe.each(preparations)('$layout $color times $scale minus $mean over $std', (preparation) => {
  it('makes the floats that the formula says', () => {
    const floats = elementsOf('FP32', preparePixels(pixels, preparation, 'FP32'));
    const { data } = originalTensor({ name: 'x', datatype: 'FP32' }, pictures, preparation);
    expect(floats).toEqual(elementsOf('FP32', data));
  });

  it('makes of a float16 what is nearest to them', () => {
    const bits = elementsOf('FP16', preparePixels(pixels, preparation, 'FP16'));
    const exact = elementsOf('FP32', preparePixels(pixels, preparation, 'FP32'));
    expect(bits).toHaveLength(exact.length);
    exact.forEach((value, index) => {
      expect(Math.abs(valueOfHalf(bits[index]!) - value)).toBeLessThanOrEqual(
        Math.max(Math.abs(value) * 2 ** -11, 2 ** -25),
      );
    });
  });

  it('rearranges bytes and does not scale them', () => {
    const { data } = originalTensor({ name: 'x', datatype: 'UINT8' }, pictures, preparation);
    expect(preparePixels(pixels, preparation, 'UINT8')).toEqual(data);
  });
});

it('rounds to the float16 that is nearest, of two to the even one', () => {
  // Every finite float16 is itself; halfway to the next one it is the even one of both.
  for (let bits = 0; bits < 0x7c00; bits += 1) {
    const value = valueOfHalf(bits);
    const next = bits === 0x7bff ? 65_536 : valueOfHalf(bits + 1);
    expect(halfBits(value)).toBe(bits);
    expect(halfBits(-value)).toBe(0x8000 | bits);
    expect(halfBits((value + next) / 2)).toBe(bits % 2 === 0 ? bits : bits + 1);
  }
  expect([1e9, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map(halfBits)).toEqual([
    0x7c00, 0x7c00, 0xfc00, 0x7e00,
  ]);
});

/** By the definition of IEEE 754's binary16. */
function valueOfHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}
