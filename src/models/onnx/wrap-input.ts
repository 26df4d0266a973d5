import { create } from '@bufbuild/protobuf';
import { foldScaling, lumaWeights, type Preprocessing } from '../../inference/preprocessing.ts';
import type { GraphTensor } from './describe.ts';
import {
  type AttributeProto,
  type NodeProto,
  TensorProto_DataType,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './generated/onnx_pb.ts';
import type { OnnxModel } from './model-file.ts';
import { freeNames } from './names.ts';
import { constantNode, integer, integers, node } from './nodes.ts';

/**
 * Changes `model` so that it takes pixels, and answers the name of the tensor that it takes them by. A graph that takes
 * `uint8 [N,H,W,3]` RGB already is left as it is. `input` is the graph's one input, FLOAT or UINT8 of rank 4; its batch
 * dimension stays what it was.
 *
 * The new nodes write to the old input's name, so no other node has to change, nested graphs included. Every operator
 * used means the same from opset 7 on.
 */
export function wrapInput(model: OnnxModel, input: GraphTensor, preprocessing: Preprocessing): string {
  const { layout, color } = preprocessing;
  const takesBytes = input.type === 'UINT8';
  if (takesBytes && layout === 'NHWC' && color === 'RGB') return input.name;

  const free = freeNames(model);
  const pixels = free('pixels');
  const nodes: NodeProto[] = [];
  let last = pixels;
  const append = (opType: string, inputs: string[], ...attributes: AttributeProto[]) => {
    const output = free(`pixels_${opType.toLowerCase()}`);
    nodes.push(node(opType, [last, ...inputs], output, ...attributes));
    last = output;
  };
  const constant = (values: number[], dims: number[], type: 'FLOAT' | 'INT64' = 'FLOAT'): string => {
    const output = free('pixels_constant');
    nodes.push(constantNode(output, values, dims, type));
    return output;
  };
  const cast = (to: 'FLOAT' | 'UINT8') => append('Cast', [], integer('to', TensorProto_DataType[to]));

  // The cast comes first although bytes would transpose faster: TensorRT takes a uint8 input only into a Cast.
  if (!takesBytes || color === 'GRAY') cast('FLOAT');
  if (color === 'GRAY') {
    append('MatMul', [constant([...lumaWeights], [3, 1])]);
    if (takesBytes) {
      append('Add', [constant([0.5], [])]); // the cast cuts off: this makes it round
      cast('UINT8');
    }
  }
  if (layout === 'NCHW') append('Transpose', [], integers('perm', [0, 3, 1, 2]));
  if (color === 'BGR')
    append('Gather', [constant([2, 1, 0], [3], 'INT64')], integer('axis', layout === 'NCHW' ? 1 : 3));
  if (!takesBytes) {
    const { factors, offsets } = foldScaling(preprocessing);
    if (factors.some((factor) => factor !== 1)) append('Mul', [perChannel(factors, layout, constant)]);
    if (offsets.some((offset) => offset !== 0)) append('Add', [perChannel(offsets, layout, constant)]);
  }
  nodes.at(-1)!.output = [input.name];

  const { graph } = model;
  graph.node = [...nodes, ...graph.node];
  graph.input = graph.input.map((each) =>
    each.name === input.name ? pixelInput(pixels, each, preprocessing) : each,
  );
  return pixels;
}

/** One number where all channels share it: a scalar broadcasts far faster than a last axis of three. */
function perChannel(
  values: number[],
  layout: 'NCHW' | 'NHWC',
  constant: (values: number[], dims: number[]) => string,
): string {
  if (values.every((value) => value === values[0])) return constant([values[0]!], []);
  return constant(values, layout === 'NCHW' ? [values.length, 1, 1] : [values.length]);
}

function pixelInput(
  name: string,
  original: ValueInfoProto,
  { height, width }: Preprocessing,
): ValueInfoProto {
  const tensor = original.type?.value.case === 'tensorType' ? original.type.value.value : undefined;
  const batch = tensor?.shape?.dim[0]?.value;
  const fixed = (length: number) => ({ value: { case: 'dimValue' as const, value: BigInt(length) } });
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: TensorProto_DataType.UINT8,
          shape: {
            dim: [batch?.case === undefined ? {} : { value: batch }, fixed(height), fixed(width), fixed(3)],
          },
        },
      },
    },
  });
}
