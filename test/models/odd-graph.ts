import { create, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/models/onnx/generated/onnx_pb.ts';
import { tinyWeights } from './tiny-classifier.ts';

type TypeName = keyof typeof TensorProto_DataType;
type Shape = readonly (number | string)[] | null;

export interface OddGraph {
  readonly opset?: number;
  readonly irVersion?: number;
  /** The batch that the graph is declared with; a string: free. */
  readonly batch?: number | string;
  /** In place of FLOAT [batch,3,4,6]. */
  readonly input?: { readonly type: TypeName; readonly shape: Shape };
  /** How many numbers a picture gets: `sums`, FLOAT [batch,size], each a weighted sum of all its pixels. */
  readonly size: number;
  /** From `sums` to the outputs. */
  readonly nodes: readonly NodeProto[];
  readonly constants?: readonly TensorProto[];
  readonly outputs: readonly (readonly [name: string, type: TypeName, shape: Shape])[];
  /** Stated of values between, rightly or not. */
  readonly valueInfo?: readonly (readonly [name: string, type: TypeName, shape: Shape])[];
}

/** A graph of any head: a picture of 6×4 pixels becomes `size` numbers, and `nodes` make of them what is answered. */
export function oddGraph(wish: OddGraph): Uint8Array {
  const {
    opset = 13,
    irVersion = 8,
    batch = 'N',
    size,
    nodes,
    constants = [],
    outputs,
    valueInfo = [],
  } = wish;
  const { type, shape } = wish.input ?? { type: 'FLOAT', shape: [batch, 3, 4, 6] };
  const pixels = 3 * 4 * 6;
  const weights = create(TensorProtoSchema, {
    name: 'weights',
    dims: [BigInt(pixels), BigInt(size)],
    dataType: TensorProto_DataType.FLOAT,
    floatData: [...tinyWeights(pixels, size)],
  });
  const initializer = [weights, ...constants];
  const graph = {
    name: 'odd',
    input: [
      value('picture', type, shape),
      // Before IR version 4 what is initialised is an input too.
      ...(irVersion < 4
        ? initializer.map(({ name, dims, dataType }) => value(name, dataType, dims.map(Number)))
        : []),
    ],
    output: outputs.map((output) => value(...output)),
    valueInfo: valueInfo.map((each) => value(...each)),
    initializer,
    node: [
      node('Cast', ['picture'], ['numbers'], { to: TensorProto_DataType.FLOAT }),
      node('Flatten', ['numbers'], ['flat'], { axis: 1 }),
      node('MatMul', ['flat', 'weights'], ['sums']),
      ...nodes,
    ],
  };
  const opsetImport = [{ domain: '', version: BigInt(opset) }];
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion: BigInt(irVersion), opsetImport, graph }),
  );
}

export function node(
  opType: string,
  input: string[],
  output: string[],
  attributes: Record<string, number | readonly number[] | TensorProto | string> = {},
): NodeProto {
  const attribute = Object.entries(attributes).map(([name, each]) => attributeOf(name, each));
  return create(NodeProtoSchema, { opType, input, output, attribute });
}

export function integers(name: string, values: readonly number[], dims = [values.length]): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: TensorProto_DataType.INT64,
    int64Data: values.map(BigInt),
  });
}

export function floats(name: string, values: readonly number[], dims = [values.length]): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: TensorProto_DataType.FLOAT,
    floatData: [...values],
  });
}

function attributeOf(name: string, each: number | readonly number[] | TensorProto | string): AttributeProto {
  const types = AttributeProto_AttributeType;
  if (typeof each === 'number')
    return create(AttributeProtoSchema, { name, type: types.INT, i: BigInt(each) });
  if (typeof each === 'string')
    return create(AttributeProtoSchema, { name, type: types.STRING, s: new TextEncoder().encode(each) });
  return '$typeName' in each
    ? create(AttributeProtoSchema, { name, type: types.TENSOR, t: each })
    : create(AttributeProtoSchema, { name, type: types.INTS, ints: each.map(BigInt) });
}

function value(name: string, type: TypeName | number, shape: Shape) {
  const elemType = typeof type === 'number' ? type : TensorProto_DataType[type];
  const dim = shape?.map((length) =>
    typeof length === 'string'
      ? { value: { case: 'dimParam' as const, value: length } }
      : { value: { case: 'dimValue' as const, value: BigInt(length) } },
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: { elemType, ...(dim && { shape: { dim } }) },
      },
    },
  });
}
