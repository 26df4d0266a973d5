import { bytesPerElement, type DataType } from '../tensor.ts';

/** The typed array that holds a data type's elements; FP16 stays in its bits. */
export interface ElementArrays {
  BOOL: Uint8Array;
  UINT8: Uint8Array;
  UINT16: Uint16Array;
  UINT32: Uint32Array;
  UINT64: BigUint64Array;
  INT8: Int8Array;
  INT16: Int16Array;
  INT32: Int32Array;
  INT64: BigInt64Array;
  FP16: Uint16Array;
  FP32: Float32Array;
  FP64: Float64Array;
}

type ArrayTypes = {
  readonly [D in DataType]: new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ) => ElementArrays[D];
};

const arrayTypes: ArrayTypes = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
};

/**
 * The elements in a tensor's bytes: a view where their place in memory allows it, else a copy. The wire is little-endian,
 * as is every processor Node runs inference on.
 */
export function elementsOf<D extends DataType>(datatype: D, data: Uint8Array): ElementArrays[D] {
  const size = bytesPerElement[datatype];
  // `new`, not slice(): a Buffer's slice() is another view of the same misaligned bytes.
  const { buffer, byteOffset, byteLength } = data.byteOffset % size === 0 ? data : new Uint8Array(data);
  return new arrayTypes[datatype](buffer, byteOffset, byteLength / size);
}

/** The bytes under a typed array; shares its memory. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
