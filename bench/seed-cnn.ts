import { create } from '@bufbuild/protobuf';
import { bytesOf } from '../src/inference/oip/elements.ts';
import type { Preprocessing } from '../src/inference/preprocessing.ts';
import { numbersFrom } from '../src/lib/numbers-from.ts';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  TensorProto_DataType,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../src/models/onnx/generated/onnx_pb.ts';
import { writeModel } from '../src/models/onnx/model-file.ts';
import { constantNode, integers, node } from '../src/models/onnx/nodes.ts';
import { wrapInput } from '../src/models/onnx/wrap-input.ts';

/**
 * The reference CNN, three 3 × 3 convolutions of 32, 64 and 128 channels with max-pooling between, dense 128, softmax over
 * 10, on pictures of 224²: with the same random weights (He et al. 2015, from a seed) as an ONNX graph and as layers of
 * TensorFlow.js, both of which take pixels.
 */
export const SIZE = 224;
const CHANNELS = [3, 32, 64, 128] as const;
const DENSE = 128;
const CLASSES = 10;
/** Of the last pooling: each convolution takes two off, each pooling halves. */
const LAST = CHANNELS.slice(1).reduce<number>((side) => Math.floor((side - 2) / 2), SIZE);
const FLAT = LAST * LAST * CHANNELS[3];

export const preprocessing: Preprocessing = {
  ...{ layout: 'NHWC', width: SIZE, height: SIZE, color: 'RGB' },
  ...{ scale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] },
};

interface Weights {
  readonly name: string;
  /** As Keras has them: [height, width, in, out] or [in, out]. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

function randomWeights(): Weights[] {
  const random = numbersFrom(20_261_125);
  const weights = (name: string, shape: readonly number[]): Weights => {
    const inputs = shape.slice(0, -1).reduce((product, length) => product * length, 1);
    const deviation = Math.sqrt(2 / inputs);
    const values = new Float32Array(inputs * shape.at(-1)!);
    // Uniform numbers of that deviation do as well here, and cost less to draw.
    for (let at = 0; at < values.length; at++) values[at] = (random() * 2 - 1) * deviation * Math.sqrt(3);
    return { name, shape, values };
  };
  return [
    ...[1, 2, 3].map((layer) => weights(`conv${layer}`, [3, 3, CHANNELS[layer - 1]!, CHANNELS[layer]!])),
    weights('dense', [FLAT, DENSE]),
    weights('scores', [DENSE, CLASSES]),
  ];
}

/** uint8 [N,224,224,3] → 'scores' FLOAT [N,10]. */
export function onnxCnn(): { graph: Uint8Array; inputTensor: string } {
  const nodes: NodeProto[] = [node('Transpose', ['pictures'], 'last', integers('perm', [0, 3, 1, 2]))];
  let last = 'last';
  for (const { name, shape, values } of randomWeights()) {
    if (shape.length === 4) {
      const { order, dims } = outChannelsFirst(values, shape);
      nodes.push(constantNode(`${name}_weights`, order, dims, 'FLOAT'));
      nodes.push(node('Conv', [last, `${name}_weights`], `${name}_sum`));
      nodes.push(node('Relu', [`${name}_sum`], `${name}_relu`));
      const pool = [integers('kernel_shape', [2, 2]), integers('strides', [2, 2])];
      nodes.push(node('MaxPool', [`${name}_relu`], `${name}_pool`, ...pool));
      last = `${name}_pool`;
      continue;
    }
    if (name === 'dense') {
      // Keras flattens with the channels last.
      nodes.push(node('Transpose', [last], 'channels_last', integers('perm', [0, 2, 3, 1])));
      nodes.push(constantNode('flat_shape', [-1, FLAT], [2], 'INT64'));
      nodes.push(node('Reshape', ['channels_last', 'flat_shape'], 'flat'));
      last = 'flat';
    }
    nodes.push(constantNode(`${name}_weights`, [...values], [...shape], 'FLOAT'));
    nodes.push(node('MatMul', [last, `${name}_weights`], `${name}_sum`));
    const output = name === 'scores' ? 'scores' : `${name}_relu`;
    nodes.push(node(name === 'scores' ? 'Softmax' : 'Relu', [`${name}_sum`], output));
    last = output;
  }
  const graph = create(GraphProtoSchema, {
    ...{ name: 'seed-cnn', node: nodes },
    input: [valueInfo('pictures', ['N', SIZE, SIZE, 3])],
    output: [valueInfo('scores', ['N', CLASSES])],
  });
  const model = create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ version: 13n }], graph });
  const whole = { ...model, graph };
  const input = { name: 'pictures', type: 'FLOAT', shape: ['N', SIZE, SIZE, 3] };
  const inputTensor = wrapInput(whole, input, preprocessing);
  return { graph: writeModel(whole), inputTensor };
}

/** By their places, `model.json` among them: float32 [N,224,224,3] → 'scores' [N,10]. */
export function layersCnn(): Record<string, Uint8Array> {
  const weights = randomWeights();
  const layer = (className: string, name: string, config: object) => ({
    class_name: className,
    config: { name, trainable: true, dtype: 'float32', ...config },
  });
  const convolution = (name: string, filters: number) => [
    layer('Conv2D', name, {
      ...{ filters, kernel_size: [3, 3], strides: [1, 1], padding: 'valid', data_format: 'channels_last' },
      ...{ dilation_rate: [1, 1], activation: 'relu', use_bias: false },
    }),
    layer('MaxPooling2D', `${name}_pool`, {
      ...{ pool_size: [2, 2], strides: [2, 2], padding: 'valid', data_format: 'channels_last' },
    }),
  ];
  const dense = (name: string, units: number, activation: string) =>
    layer('Dense', name, { units, activation, use_bias: false });
  const layers = [
    {
      class_name: 'InputLayer',
      config: { name: 'pictures', dtype: 'float32', batch_input_shape: [null, SIZE, SIZE, 3] },
    },
    ...[1, 2, 3].flatMap((each) => convolution(`conv${each}`, CHANNELS[each]!)),
    layer('Flatten', 'flat', { data_format: 'channels_last' }),
    dense('dense', DENSE, 'relu'),
    dense('scores', CLASSES, 'softmax'),
  ];
  const manifest = weights.map(({ name, shape }) => ({ name: `${name}/kernel`, shape, dtype: 'float32' }));
  const model = {
    format: 'layers-model',
    modelTopology: {
      keras_version: '2.15.0',
      model_config: { class_name: 'Sequential', config: { name: 'cnn', layers } },
    },
    weightsManifest: [{ paths: ['weights.bin'], weights: manifest }],
  };
  return {
    'model.json': Buffer.from(JSON.stringify(model)),
    'weights.bin': Buffer.concat(weights.map(({ values }) => bytesOf(values))),
  };
}

/** [height, width, in, out] as [out, in, height, width]. */
function outChannelsFirst(values: Float32Array, shape: readonly number[]) {
  const [height = 0, width = 0, inputs = 0, outputs = 0] = shape;
  const order: number[] = [];
  for (let output = 0; output < outputs; output++)
    for (let input = 0; input < inputs; input++)
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++)
          order.push(values[((row * width + column) * inputs + input) * outputs + output]!);
  return { order, dims: [outputs, inputs, height, width] };
}

function valueInfo(name: string, shape: readonly (number | string)[]): ValueInfoProto {
  const dim = shape.map((length) => ({
    value:
      typeof length === 'number'
        ? { case: 'dimValue' as const, value: BigInt(length) }
        : { case: 'dimParam' as const, value: length },
  }));
  const value = {
    case: 'tensorType' as const,
    value: { elemType: TensorProto_DataType.FLOAT, shape: { dim } },
  };
  return create(ValueInfoProtoSchema, { name, type: { value } });
}
