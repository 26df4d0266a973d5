import { bytesPerElement, type DataType, elementCount, type Tensor } from '../tensor.ts';
import { elementsOf } from './elements.ts';
import { excerpt } from './excerpt.ts';

/** The whole numbers a type holds and a JSON number can carry without loss. */
const integerRange: Partial<Record<DataType, readonly [number, number]>> = {
  UINT8: [0, 0xff],
  UINT16: [0, 0xffff],
  UINT32: [0, 0xffffffff],
  UINT64: [0, Number.MAX_SAFE_INTEGER],
  INT8: [-0x80, 0x7f],
  INT16: [-0x8000, 0x7fff],
  INT32: [-0x80000000, 0x7fffffff],
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

/**
 * A tensor's bytes from its JSON `data`, nested or flat, row-major. Throws what `refuse` makes of the reason: a typed array
 * would wrap 256 to 0 and a word to 0, so every element is checked.
 */
export function bytesFromJson(
  datatype: DataType,
  shape: readonly number[],
  data: unknown,
  refuse: (reason: string) => Error,
): Uint8Array {
  if (datatype === 'FP16') throw refuse('FP16 has no JSON form: send it as binary data');
  if (!Array.isArray(data)) throw refuse('expected data to be an array');
  const values: unknown[] = data.flat(Math.max(0, shape.length - 1));
  const count = elementCount(shape);
  if (values.length !== count) {
    throw refuse(`expected ${count} elements for shape [${shape.join(',')}], found ${values.length}`);
  }
  const bytes = new Uint8Array(count * bytesPerElement[datatype]);
  const elements = elementsOf(datatype, bytes);
  const range = integerRange[datatype];
  const checked = (value: unknown, index: number): number => {
    if (datatype === 'BOOL' ? typeof value === 'boolean' : typeof value === 'number') {
      const number = Number(value);
      if (!range || (Number.isInteger(number) && number >= range[0] && number <= range[1])) return number;
    }
    throw refuse(`expected ${expectation(datatype)} at element ${index}, found ${excerpt(value)}`);
  };
  if (elements instanceof BigInt64Array || elements instanceof BigUint64Array) {
    values.forEach((value, index) => {
      elements[index] = BigInt(checked(value, index));
    });
  } else {
    values.forEach((value, index) => {
      elements[index] = checked(value, index);
    });
  }
  return bytes;
}

function expectation(datatype: DataType): string {
  const range = integerRange[datatype];
  if (range) return `a whole number ${range[0]}..${range[1]}`;
  return datatype === 'BOOL' ? 'true or false' : 'a number';
}

/** A tensor's elements as JSON `data`, flat. Throws what `refuse` makes of a value that JSON would lose. */
export function jsonFromBytes(tensor: Tensor, refuse: (reason: string) => Error): (number | boolean)[] {
  if (tensor.datatype === 'FP16') throw refuse('FP16 has no JSON form: ask for binary data');
  return Array.from<number | bigint, number | boolean>(
    elementsOf(tensor.datatype, tensor.data),
    (element) => {
      if (tensor.datatype === 'BOOL') return element !== 0;
      const value = Number(element);
      if (typeof element === 'bigint' ? Number.isSafeInteger(value) : Number.isFinite(value)) return value;
      throw refuse(`${element} has no exact JSON form: ask for binary data`);
    },
  );
}
