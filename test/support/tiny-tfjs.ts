import { bytesOf } from '../../src/inference/oip/elements.ts';

/** What every tiny model here answers: the pixels' mean of each channel, times these, `[3, 4]`. */
export const tinyMatrix = [1, 0, 0, 2, 0, 1, 0, -1, 0, 0, 1, 3];

/** The scores of one picture, `height · width · 3` RGB bytes, fed as they are. */
export function tinyScores(pixels: Uint8Array): number[] {
  const means = [0, 1, 2].map((channel) => {
    let sum = 0;
    for (let at = channel; at < pixels.length; at += 3) sum += pixels[at]!;
    return sum / (pixels.length / 3);
  });
  return [0, 1, 2, 3].map((score) =>
    means.reduce((sum, mean, channel) => sum + mean * tinyMatrix[channel * 4 + score]!, 0),
  );
}

/** By their names in the model's folder; `model.json` is the one that a manifest names. */
export type TinyFiles = Record<string, Uint8Array>;

const matrix = bytesOf(Float32Array.from(tinyMatrix));
const shapeOf = (...sizes: number[]) => ({ dim: sizes.map((size) => ({ size: String(size) })) });
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/** A TensorFlow.js graph model: float32 [batch, 4, 6, 3] → 'scores' [batch, 4], its weights in two files. */
export function tinyGraph({
  batch = -1,
  op = 'MatMul',
  constantOutput = false,
}: {
  batch?: number;
  op?: string;
  constantOutput?: boolean;
} = {}): TinyFiles {
  const float = { type: 'DT_FLOAT' };
  const constant = (name: string, type: string) => ({
    ...{ name, op: 'Const' },
    attr: { dtype: { type }, value: { tensor: { dtype: type, tensorShape: {} } } },
  });
  const node = [
    { name: 'images', op: 'Placeholder', attr: { dtype: float, shape: { shape: shapeOf(batch, 4, 6, 3) } } },
    constant('axes', 'DT_INT32'),
    constant('matrix', 'DT_FLOAT'),
    { name: 'means', op: 'Mean', input: ['images', 'axes'], attr: { T: float, keep_dims: { b: false } } },
    {
      ...{ name: 'scores', op, input: ['means', 'matrix'] },
      attr: { T: float, transpose_a: { b: false }, transpose_b: { b: false } },
    },
  ];
  // What nobody reads is an output.
  if (constantOutput) node.push({ ...constant('anchors', 'DT_FLOAT') });
  const weights = [
    { name: 'axes', shape: [2], dtype: 'int32' },
    { name: 'matrix', shape: [3, 4], dtype: 'float32' },
    ...(constantOutput ? [{ name: 'anchors', shape: [2], dtype: 'float32' }] : []),
  ];
  return {
    'model.json': json({
      ...{ format: 'graph-model', modelTopology: { node, library: {}, versions: {} } },
      weightsManifest: [{ paths: ['first.bin', 'second.bin'], weights }],
    }),
    'first.bin': bytesOf(Int32Array.of(1, 2)),
    'second.bin': constantOutput ? Buffer.concat([matrix, bytesOf(Float32Array.of(5, 7))]) : matrix,
  };
}

/** A graph that answers its input: float32 [batch, …shape] → 'passed'. */
export function passThroughGraph(shape: readonly number[]): TinyFiles {
  const float = { type: 'DT_FLOAT' };
  const node = [
    { name: 'images', op: 'Placeholder', attr: { dtype: float, shape: { shape: shapeOf(-1, ...shape) } } },
    { name: 'passed', op: 'Identity', input: ['images'], attr: { T: float } },
  ];
  const modelTopology = { node, library: {}, versions: {} };
  return { 'model.json': json({ format: 'graph-model', modelTopology, weightsManifest: [] }) };
}

/** How an architecture is written down. */
export type LayersForm = 'keras 2 sequential' | 'keras 3 sequential' | 'keras 3 functional';

/** A TensorFlow.js layers model of the same network. */
export function tinyLayers(form: LayersForm): TinyFiles {
  const keras3 = form !== 'keras 2 sequential';
  const policy = {
    module: 'keras',
    class_name: 'DTypePolicy',
    config: { name: 'float32' },
    registered_name: null,
  };
  const dtype = keras3 ? policy : 'float32';
  const shape = [null, 4, 6, 3];
  const layers = [
    {
      class_name: 'InputLayer',
      config: { name: 'pictures', dtype: 'float32', [keras3 ? 'batch_shape' : 'batch_input_shape']: shape },
    },
    {
      class_name: 'GlobalAveragePooling2D',
      config: { name: 'means', trainable: true, dtype, data_format: 'channels_last' },
    },
    {
      class_name: 'Dense',
      config: { name: 'scores', trainable: true, dtype, units: 4, activation: 'linear', use_bias: false },
    },
  ];
  const tensor = (layer: string) => ({
    ...{ class_name: '__keras_tensor__', config: { shape, dtype: 'float32', keras_history: [layer, 0, 0] } },
  });
  const call = (...layer: string[]) =>
    layer.map((each) => ({ args: [tensor(each)], kwargs: { mask: null } }));
  const functional = layers.map((layer, index) => ({
    ...{ ...layer, name: layer.config.name },
    inbound_nodes: index === 0 ? [] : call(layers[index - 1]!.config.name),
  }));
  const config =
    form === 'keras 3 functional'
      ? {
          name: 'tiny',
          layers: functional,
          input_layers: [['pictures', 0, 0]],
          output_layers: ['scores', 0, 0],
        }
      : { name: 'tiny', layers };
  const modelTopology = {
    keras_version: keras3 ? '3.15.1' : '2.15.0',
    backend: 'tensorflow',
    model_config: { class_name: form === 'keras 3 functional' ? 'Functional' : 'Sequential', config },
  };
  const name = form === 'keras 3 sequential' ? 'tiny/scores/kernel' : 'scores/kernel';
  const weights = [{ name, shape: [3, 4], dtype: 'float32' }];
  return {
    'model.json': json({
      format: 'layers-model',
      modelTopology,
      weightsManifest: [{ paths: ['weights.bin'], weights }],
    }),
    'weights.bin': matrix,
  };
}
