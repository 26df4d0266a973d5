import { elementsOf } from '../../../oip/elements.ts';
import type { Tensor } from '../../../tensor.ts';

/**
 * How far two tensors are apart: the largest difference of two numbers, in shares of the largest of them all. NaN where one
 * is no finite number and the other is not the same, or the shapes differ.
 */
export function distance(found: Tensor, wanted: Tensor): number {
  if (found.shape.join() !== wanted.shape.join()) return Number.NaN;
  const values = elementsOf(found.datatype, found.data);
  const expected = elementsOf(wanted.datatype, wanted.data);
  let largest = 0;
  let difference = 0;
  for (let index = 0; index < values.length; index++) {
    const value = Number(values[index]);
    const should = Number(expected[index]);
    if (Number.isFinite(value) && Number.isFinite(should)) {
      largest = Math.max(largest, Math.abs(value), Math.abs(should));
      difference = Math.max(difference, Math.abs(value - should));
    } else if (!Object.is(value, should)) return Number.NaN;
  }
  return difference === 0 ? 0 : difference / largest;
}
