import { bytesPerElement, type DataType, elementCount, type Tensor } from '../tensor.ts';
import { OipError } from './errors.ts';
import { excerpt } from './excerpt.ts';
import { bytesFromJson } from './json-data.ts';
import { MAX_TENSORS } from './limits.ts';

/** No graph has more dimensions; it bounds how deep nested `data` is followed. */
const maxRank = 16;

type Kind = 'input' | 'output';

/**
 * The tensors a message's header lists, their data taken from `binary` (in order, no byte left over) or from JSON.
 * Binary data is a view of `binary`. Throws OipError with `status`.
 */
export function parseTensors(entries: unknown, kind: Kind, binary: Uint8Array, status: number): Tensor[] {
  if (!Array.isArray(entries) || entries.length === 0) {
    throw new OipError(status, `${kind}s: expected an array of at least one tensor`);
  }
  if (entries.length > MAX_TENSORS) {
    throw new OipError(status, `${kind}s: expected at most ${MAX_TENSORS} tensors, found ${entries.length}`);
  }
  let offset = 0;
  const seen = new Set<string>();
  const tensors = entries.map((entry: unknown, index): Tensor => {
    if (!isRecord(entry)) throw new OipError(status, `${kind} ${index}: expected an object`);
    const name = readName(entry.name, kind, index, status);
    const refuse = (reason: string) => new OipError(status, `${kind} '${name}': ${reason}`);
    if (seen.has(name)) throw refuse('listed twice');
    seen.add(name);
    const datatype = readDataType(entry.datatype, refuse);
    const shape = readShape(entry.shape, refuse);
    const parameters = entry.parameters ?? {}; // Some write null for none.
    if (!isRecord(parameters)) throw refuse('expected parameters to be an object');
    if (parameters.shared_memory_region !== undefined) {
      throw refuse('shared memory is of an extension that is not spoken here: send the tensor itself');
    }
    const size = parameters.binary_data_size;
    if (size === undefined)
      return { name, datatype, shape, data: bytesFromJson(datatype, shape, entry.data, refuse) };
    if (entry.data !== undefined) throw refuse('has both data and binary_data_size: expected one of them');
    const expected = elementCount(shape) * bytesPerElement[datatype];
    if (size !== expected) {
      throw refuse(
        `expected binary_data_size ${expected} for ${datatype} [${shape.join(',')}], found ${excerpt(size)}`,
      );
    }
    const left = binary.byteLength - offset;
    if (expected > left) throw refuse(`expected ${expected} bytes of binary data, found ${left}`);
    const data = binary.subarray(offset, offset + expected);
    offset += expected;
    return { name, datatype, shape, data };
  });
  if (offset !== binary.byteLength) {
    throw new OipError(
      status,
      `expected ${offset} bytes of binary data for the ${kind}s ${[...seen].map((name) => `'${name}'`).join(', ')}, found ${binary.byteLength}`,
    );
  }
  return tensors;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function readName(value: unknown, kind: Kind, index: number, status: number): string {
  if (typeof value === 'string' && value !== '' && value.length <= 512) return value;
  throw new OipError(status, `${kind} ${index}: expected a name of 1..512 characters`);
}

function readDataType(value: unknown, refuse: (reason: string) => Error): DataType {
  if (typeof value === 'string' && Object.hasOwn(bytesPerElement, value)) return value as DataType;
  const known = Object.keys(bytesPerElement).join(', ');
  throw refuse(`expected datatype to be one of ${known}, found ${excerpt(value)}`);
}

function readShape(value: unknown, refuse: (reason: string) => Error): number[] {
  const valid =
    Array.isArray(value) &&
    value.length <= maxRank &&
    value.every((length) => Number.isSafeInteger(length) && length >= 0) &&
    // An overflowing product would make a huge tensor look like one of few bytes.
    elementCount(value) * 8 <= Number.MAX_SAFE_INTEGER;
  if (valid) return value;
  throw refuse(`expected shape to be at most ${maxRank} whole numbers from 0, found ${excerpt(value)}`);
}
