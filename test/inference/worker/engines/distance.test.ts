import { expect, it } from 'vitest';
import { bytesOf } from '../../../../src/inference/oip/elements.ts';
import type { Tensor } from '../../../../src/inference/tensor.ts';
import { distance } from '../../../../src/inference/worker/engines/onnx/distance.ts';

const floats = (values: number[], shape = [values.length]): Tensor => ({
  name: 'x',
  datatype: 'FP32',
  shape,
  data: bytesOf(Float32Array.from(values)),
});
const integers = (values: bigint[]): Tensor => ({
  name: 'x',
  datatype: 'INT64',
  shape: [values.length],
  data: bytesOf(BigInt64Array.from(values)),
});

it.each([
  ['equal ones', floats([1, -8, 0]), floats([1, -8, 0]), 0],
  ['shares of the largest number of both', floats([1, -8, 0]), floats([1, -6, 0]), 0.25],
  ['zeros and what is not', floats([0, 0.5]), floats([0, 0]), 1],
  ['integers', integers([3n, 10n]), integers([4n, 10n]), 0.1],
  ['the same infinity', floats([Number.POSITIVE_INFINITY, 4]), floats([Number.POSITIVE_INFINITY, 3]), 0.25],
  ['what is no number on both sides', floats([Number.NaN, 4]), floats([Number.NaN, 4]), 0],
  ['what is no number on one', floats([Number.NaN, 4]), floats([1, 4]), Number.NaN],
  ['opposite infinities', floats([Number.POSITIVE_INFINITY]), floats([Number.NEGATIVE_INFINITY]), Number.NaN],
  ['other shapes', floats([1, 2], [1, 2]), floats([1, 2], [2, 1]), Number.NaN],
])('%s', (_, found, wanted, expected) => {
  // Close to NaN is nothing, NaN itself included.
  for (const apart of [distance(found, wanted), distance(wanted, found)]) {
    if (Number.isNaN(expected)) expect(apart).toBeNaN();
    else expect(apart).toBeCloseTo(expected, 6);
  }
});
