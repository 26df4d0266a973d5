import { create } from '@bufbuild/protobuf';
import { elementsOf } from '../../oip/elements.ts';
import { WorkerFaultError } from '../../oip/errors.ts';
import { joinPieces } from '../../oip/join-pieces.ts';
import { bytesPerElement, type DataType, elementCount, type Tensor } from '../../tensor.ts';
import type { DeclaredTensor } from '../declared-model.ts';
import {
  type TensorInfo,
  type TensorProto,
  TensorProtoSchema,
  type TensorShapeProto,
  DataType as Type,
} from './generated/tensorflow_pb.ts';

/** No graph has more dimensions. */
export const MAX_RANK = 16;

const typesByName: Readonly<Record<DataType, Type>> = {
  BOOL: Type.DT_BOOL,
  UINT8: Type.DT_UINT8,
  UINT16: Type.DT_UINT16,
  UINT32: Type.DT_UINT32,
  UINT64: Type.DT_UINT64,
  INT8: Type.DT_INT8,
  INT16: Type.DT_INT16,
  INT32: Type.DT_INT32,
  INT64: Type.DT_INT64,
  FP16: Type.DT_HALF,
  FP32: Type.DT_FLOAT,
  FP64: Type.DT_DOUBLE,
};
const tensorflowNames = new Map<number, string>(Object.entries(Type).map(([name, type]) => [type, name]));
const names = new Map<number, DataType>(
  Object.entries(typesByName).map(([name, type]) => [type, name as DataType]),
);

export function declaredOf(name: string, { dtype, tensorShape }: TensorInfo): DeclaredTensor {
  const datatype = names.get(dtype) ?? nameOf(dtype);
  const shape = tensorShape === undefined || tensorShape.unknownRank ? null : lengthsOf(tensorShape);
  return { name, datatype, shape };
}

/** All of it but its elements. */
export function headOf({ datatype, shape }: Tensor): TensorProto {
  return create(TensorProtoSchema, {
    dtype: typesByName[datatype],
    tensorShape: { dim: shape.map((length) => ({ size: BigInt(length) })) },
  });
}

/** What a message says of a tensor in it, before its elements are read. */
export interface Claim {
  readonly head: Omit<Tensor, 'data'>;
  /** What its elements take once they are read. Those that are left out take none in the message: a few may say that there are billions. */
  readonly bytes: number;
  readonly proto: TensorProto;
}

/** Throws WorkerFaultError where the message holds no dense tensor of numbers. */
export function claimOf(name: string, proto: TensorProto): Claim {
  const datatype = names.get(proto.dtype);
  const lengths = proto.tensorShape?.dim.length ?? 0;
  if (datatype === undefined) throw refusal(name, `as ${nameOf(proto.dtype)}, no type of numbers`);
  if (lengths > MAX_RANK) throw refusal(name, `with ${lengths} dimensions, which is more than ${MAX_RANK}`);
  const shape = proto.tensorShape === undefined ? [] : lengthsOf(proto.tensorShape);
  if (shape.some((length) => length < 0)) throw refusal(name, `with shape [${shape.join(',')}]`);
  return {
    ...{ head: { name, datatype, shape }, proto },
    bytes: elementCount(shape) * bytesPerElement[datatype],
  };
}

/** Throws WorkerFaultError where the elements are not as many as is claimed. */
export function tensorOf({ head, bytes, proto }: Claim): Tensor {
  const { name, datatype, shape } = head;
  const { tensorContent: content } = proto;
  if (content.byteLength === 0) return { ...head, data: listed(head, proto, bytes) };
  if (content.byteLength !== bytes) {
    throw refusal(
      name,
      `of ${datatype} [${shape.join(',')}] in ${content.byteLength} bytes, not in ${bytes}`,
    );
  }
  return { ...head, data: joinPieces([content]) };
}

function refusal(name: string, reason: string): WorkerFaultError {
  return new WorkerFaultError('protocol', `the server answered '${name}' ${reason}`);
}

/** Elements that come one by one: the last stands for all that are left out behind it, as none stands for zeros. */
function listed({ name, datatype }: Claim['head'], proto: TensorProto, bytes: number): Uint8Array {
  const values: readonly (number | bigint | boolean)[] = listOf(datatype, proto);
  const count = bytes / bytesPerElement[datatype];
  if (values.length > count) throw refusal(name, `with ${values.length} elements for ${count}`);
  const data = joinPieces([new Uint8Array(bytes)]);
  const elements: { length: number; [index: number]: number | bigint } = elementsOf(datatype, data);
  const isBig = elements instanceof BigInt64Array || elements instanceof BigUint64Array;
  const last = values.at(-1) ?? 0;
  for (let index = 0; index < count; index += 1) {
    const value = values[index] ?? last;
    elements[index] = isBig ? BigInt(value) : Number(value);
  }
  return data;
}

function listOf(datatype: DataType, proto: TensorProto): readonly (number | bigint | boolean)[] {
  switch (datatype) {
    case 'FP32':
      return proto.floatVal;
    case 'FP64':
      return proto.doubleVal;
    case 'FP16':
      return proto.halfVal;
    case 'INT64':
      return proto.int64Val;
    case 'UINT64':
      return proto.uint64Val;
    case 'UINT32':
      return proto.uint32Val;
    case 'BOOL':
      return proto.boolVal;
    default:
      return proto.intVal;
  }
}

function lengthsOf({ dim }: TensorShapeProto): number[] {
  return dim.map(({ size }) => Number(size));
}

/** The protocol's name for a type that TensorFlow calls `DT_…`; that itself where the protocol has none. */
export function nameOfType(tensorflowName: string): string {
  const [type] = [...tensorflowNames].find(([, name]) => name === tensorflowName) ?? [];
  return (type === undefined ? undefined : names.get(type)) ?? tensorflowName;
}

/** As TensorFlow calls it. */
function nameOf(type: number): string {
  return tensorflowNames.get(type) ?? `type ${type}`;
}
