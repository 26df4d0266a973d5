import { create } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type NodeProto,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/models/onnx/generated/onnx_pb.ts';
import { floats, model, node, reduction, valueInfo } from './onnx-fixture.ts';

const { FLOAT, UINT8, INT64 } = TensorProto_DataType;

export type MarkerHead = 'boxes-scores' | 'ssd' | 'detections' | 'mask-logits';

/** From here on a pixel counts as magenta: 1 is magenta itself, 0 any grey. */
const MAGENTA = 0.7;
/** The box that NMS is to drop lies exactly on the other. */
const WEAKER = 0.9;

/**
 * Finds what is magenta: `images` uint8 [N, size, size, 3] → one box around all magenta pixels, its score how magenta the most
 * magenta one is; or a mask of them. What each head answers:
 *
 * - `boxes-scores`: `boxes` [N, 2, 4] xyxy pixels and `scores` [N, 2, 1]: the box twice, the second with 0.9 of its score
 * - `ssd`: `boxes` [N, 1, 4] yxyx shares, `scores` and `classes` [N, 1], `count` [N, 1]
 * - `detections`: `rows` [N, 1, 6]: x1, y1, x2, y2, score, class
 * - `mask-logits`: `logits` [N, 2, size, size]: background, marker
 */
export function markerModel(size: number, head: MarkerHead): Uint8Array {
  const { nodes, outputs } = heads[head](size);
  const places = Array.from({ length: size }, (_, place) => place);
  const graph = create(GraphProtoSchema, {
    name: `marker ${head}`,
    input: [valueInfo('images', UINT8, [null, size, size, 3])],
    output: outputs.map(([name, shape]) => valueInfo(name, FLOAT, [null, ...shape])),
    initializer: [
      floats('weights', [3, 1], [0.5 / 255, -1 / 255, 0.5 / 255]),
      floats('threshold', [], [MAGENTA]),
      floats(
        'ends',
        [size],
        places.map((place) => place + 1),
      ),
      floats(
        'starts',
        [size],
        places.map((place) => size - place),
      ),
      floats('size', [], [size]),
      floats('zero', [], [0]),
      floats('one', [], [1]),
      floats('weaker', [], [WEAKER]),
      floats('steepness', [], [20]),
      shape('as_boxes', [-1, 1, 4]),
      shape('as_scores', [-1, 1, 1]),
      shape('as_rows', [-1, 1, 6]),
      shape('as_mask', [-1, 1, size, size]),
    ],
    node: [
      withInteger(node('Cast', ['images'], ['pixels']), 'to', FLOAT),
      node('MatMul', ['pixels', 'weights'], ['strength']),
      ...(head === 'mask-logits' ? [] : boxNodes()),
      ...nodes,
    ],
  });
  return model(graph);
}

/** `x1`, `y1`, `x2`, `y2`, `score`, `class`, each [N, 1]. Where nothing is magenta the box is inside out. */
function boxNodes(): NodeProto[] {
  return [
    node('Greater', ['strength', 'threshold'], ['is_magenta']),
    withInteger(node('Cast', ['is_magenta'], ['magenta']), 'to', FLOAT),
    reduction('ReduceMax', 'magenta', 'columns', [1n, 3n]),
    reduction('ReduceMax', 'magenta', 'lines', [2n, 3n]),
    ...extent('columns', 'x1', 'x2'),
    ...extent('lines', 'y1', 'y2'),
    reduction('ReduceMax', 'strength', 'strongest', [1n, 2n]),
    node('Relu', ['strongest'], ['score']),
    node('Mul', ['score', 'zero'], ['class']),
  ];
}

function extent(present: string, first: string, end: string): NodeProto[] {
  return [
    node('Mul', [present, 'ends'], [`${present}_ends`]),
    reduction('ReduceMax', `${present}_ends`, end, [1n], true),
    node('Mul', [present, 'starts'], [`${present}_starts`]),
    reduction('ReduceMax', `${present}_starts`, `${first}_from_end`, [1n], true),
    node('Sub', ['size', `${first}_from_end`], [first]),
  ];
}

type Head = { nodes: NodeProto[]; outputs: [name: string, shape: number[]][] };

const heads: Record<MarkerHead, (size: number) => Head> = {
  'boxes-scores': () => ({
    nodes: [
      concat(['x1', 'y1', 'x2', 'y2'], 'corners'),
      node('Reshape', ['corners', 'as_boxes'], ['box']),
      node('Reshape', ['score', 'as_scores'], ['strong']),
      node('Mul', ['strong', 'weaker'], ['weak']),
      concat(['box', 'box'], 'boxes'),
      concat(['strong', 'weak'], 'scores'),
    ],
    outputs: [
      ['boxes', [2, 4]],
      ['scores', [2, 1]],
    ],
  }),
  ssd: () => ({
    nodes: [
      concat(['y1', 'x1', 'y2', 'x2'], 'corners'),
      node('Div', ['corners', 'size'], ['shares']),
      node('Reshape', ['shares', 'as_boxes'], ['boxes']),
      node('Identity', ['score'], ['scores']),
      node('Identity', ['class'], ['classes']),
      node('Add', ['class', 'one'], ['count']),
    ],
    outputs: [
      ['boxes', [1, 4]],
      ['scores', [1]],
      ['classes', [1]],
      ['count', [1]],
    ],
  }),
  detections: () => ({
    nodes: [
      concat(['x1', 'y1', 'x2', 'y2', 'score', 'class'], 'row'),
      node('Reshape', ['row', 'as_rows'], ['rows']),
    ],
    outputs: [['rows', [1, 6]]],
  }),
  'mask-logits': (size) => ({
    nodes: [
      node('Sub', ['strength', 'threshold'], ['above']),
      node('Mul', ['above', 'steepness'], ['steep']),
      node('Reshape', ['steep', 'as_mask'], ['marker']),
      node('Mul', ['marker', 'zero'], ['background']),
      concat(['background', 'marker'], 'logits'),
    ],
    outputs: [['logits', [2, size, size]]],
  }),
};

function concat(inputs: string[], output: string): NodeProto {
  return withInteger(node('Concat', inputs, [output]), 'axis', 1);
}

function withInteger(to: NodeProto, name: string, value: number): NodeProto {
  to.attribute.push(
    create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) }),
  );
  return to;
}

function shape(name: string, dims: number[]) {
  return create(TensorProtoSchema, {
    name,
    dims: [BigInt(dims.length)],
    dataType: INT64,
    int64Data: dims.map(BigInt),
  });
}
