import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/models/onnx/generated/onnx_pb.ts';

type Length = number | string;

export interface TinyClassifier {
  readonly opset: number;
  readonly irVersion: number;
  /** As declared; strings are names of free dimensions. */
  readonly input: { name: string; type: 'FLOAT' | 'UINT8' | 'DOUBLE' | 'INT64'; shape: readonly Length[] };
  readonly output: { name: string; shape: readonly Length[] | null };
  /** Numbers one picture has, and scores it gets. */
  readonly size: number;
  readonly classes: number;
  /** What stands between the weighted sums and the scores. */
  readonly head:
    | 'none'
    | 'Softmax'
    | 'Log'
    | 'batch mean'
    | 'nothing of the picture'
    | 'endless'
    | 'NoSuchOperator';
}

/**
 * A classifier whose every score is a weighted sum of all numbers of a picture, each with another weight: whatever is
 * swapped, scaled or shifted on the way in shows in its scores.
 */
export function tinyClassifier(model: TinyClassifier): Uint8Array {
  const { opset, irVersion, input, output, size, classes, head } = model;
  const weights =
    head === 'nothing of the picture' ? new Float32Array(size * classes) : tinyWeights(size, classes);
  const nodes = [
    ...(input.type === 'FLOAT'
      ? []
      : [node('Cast', [input.name], ['numbers'], { to: TensorProto_DataType.FLOAT })]),
    node('Flatten', [input.type === 'FLOAT' ? input.name : 'numbers'], ['flat'], { axis: 1 }),
    node('MatMul', ['flat', 'weights'], head === 'none' ? [output.name] : ['sums']),
  ];
  if (head === 'Softmax' || head === 'Log' || head === 'NoSuchOperator')
    nodes.push(node(head, ['sums'], [output.name]));
  if (head === 'nothing of the picture') nodes.push(node('Identity', ['sums'], [output.name]));
  if (head === 'endless') {
    nodes.push(
      node('Not', ['no'], ['yes']),
      node('Loop', ['', 'yes', 'sums'], [output.name], { body: endlessBody() }),
    );
  }
  if (head === 'batch mean') {
    nodes.push(
      node('ReduceMean', ['sums'], ['mean'], { axes: [0n], keepdims: 1 }),
      node('Add', ['sums', 'mean'], [output.name]),
    );
  }
  const graph = {
    name: 'tiny',
    // Before IR version 4 what is initialised is an input too.
    input: [
      valueInfo(input.name, input.type, input.shape),
      ...(irVersion < 4 ? [valueInfo('weights', 'FLOAT', [size, classes])] : []),
    ],
    output: [valueInfo(output.name, 'FLOAT', output.shape)],
    initializer: [
      create(TensorProtoSchema, {
        name: 'weights',
        dims: [BigInt(size), BigInt(classes)],
        dataType: TensorProto_DataType.FLOAT,
        floatData: [...weights],
      }),
      ...(head === 'endless'
        ? [
            create(TensorProtoSchema, {
              name: 'no',
              dims: [],
              dataType: TensorProto_DataType.BOOL,
              int32Data: [0],
            }),
          ]
        : []),
    ],
    node: nodes,
  };
  const opsetImport = [{ domain: '', version: BigInt(opset) }];
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion: BigInt(irVersion), opsetImport, graph }),
  );
}

/** Row-major [size, classes]. */
export function tinyWeights(size: number, classes: number): Float32Array {
  return Float32Array.from({ length: size * classes }, (_, index) => Math.sin(index * 12.9898) / size);
}

function endlessBody(): GraphProto {
  return create(GraphProtoSchema, {
    name: 'body',
    input: [
      valueInfo('round', 'INT64', []),
      valueInfo('go_on', 'BOOL', []),
      valueInfo('before', 'FLOAT', null),
    ],
    output: [valueInfo('still', 'BOOL', []), valueInfo('after', 'FLOAT', null)],
    node: [node('Identity', ['go_on'], ['still']), node('Neg', ['before'], ['after'])],
  });
}

function node(
  opType: string,
  input: string[],
  output: string[],
  attributes: Record<string, number | bigint[] | GraphProto> = {},
): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]) => {
    if (typeof value === 'number') {
      return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
    }
    return Array.isArray(value)
      ? create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INTS, ints: value })
      : create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g: value });
  });
  return create(NodeProtoSchema, { opType, input, output, attribute });
}

function valueInfo(name: string, type: keyof typeof TensorProto_DataType, shape: readonly Length[] | null) {
  const dim = shape?.map((length) =>
    typeof length === 'string'
      ? { value: { case: 'dimParam' as const, value: length } }
      : { value: { case: 'dimValue' as const, value: BigInt(length) } },
  );
  const elemType = TensorProto_DataType[type];
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType, ...(dim && { shape: { dim } }) } } },
  });
}
