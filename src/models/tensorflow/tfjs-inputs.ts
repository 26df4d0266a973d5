import { z } from 'zod';
import type { GraphTensor } from '../onnx/describe.ts';
import type { TfjsModel } from './read-tfjs.ts';

/** Lengths come as numbers or as texts; -1: free. */
const dimensions = z.array(z.object({ size: z.union([z.string(), z.number()]).optional() }));
const shapeProto = z.object({ dim: dimensions.optional(), unknownRank: z.boolean().optional() });

const signature = z.object({
  inputs: z.record(z.string(), z.object({ dtype: z.unknown(), tensorShape: shapeProto.optional() })),
});
const placeholder = z.object({
  name: z.string(),
  op: z.literal('Placeholder'),
  attr: z.object({
    dtype: z.object({ type: z.unknown() }).optional(),
    shape: z.object({ shape: shapeProto }).optional(),
  }),
});

/** A graph's inputs by the nodes' names: those of its signature, else its placeholders. */
export function graphInputs({ modelTopology, signature: found }: TfjsModel): GraphTensor[] {
  const signed = signature.safeParse(found);
  if (signed.success && Object.keys(signed.data.inputs).length > 0) {
    return Object.entries(signed.data.inputs).map(([name, { dtype, tensorShape }]) => ({
      name: name.replace(/:0$/, ''),
      type: typeName(dtype),
      shape: shapeOf(tensorShape),
    }));
  }
  const nodes = modelTopology.node as unknown[];
  return nodes.flatMap((node) => {
    const { data } = placeholder.safeParse(node);
    if (!data) return [];
    const { dtype, shape } = data.attr;
    return [{ name: data.name, type: typeName(dtype?.type), shape: shapeOf(shape?.shape) }];
  });
}

const layer = z.object({
  class_name: z.string(),
  config: z.object({
    name: z.string(),
    batch_input_shape: z.array(z.number().nullable()).optional(), // Keras 2
    batch_shape: z.array(z.number().nullable()).optional(), // Keras 3
    dtype: z.unknown(),
  }),
});
const topology = z.object({
  model_config: z.object({
    class_name: z.string(),
    config: z.union([
      z.array(z.unknown()), // the oldest form of a Sequential
      z.object({ layers: z.array(z.unknown()), input_layers: z.array(z.unknown()).optional() }),
    ]),
  }),
});

/** A layers model's inputs, by the names that TensorFlow.js gives them. */
export function layersInputs({ modelTopology }: TfjsModel): GraphTensor[] {
  const { data } = topology.safeParse(
    'model_config' in modelTopology ? modelTopology : { model_config: modelTopology },
  );
  if (!data) return [];
  const { config } = data.model_config;
  const layers = Array.isArray(config) ? config : config.layers;
  const wanted = Array.isArray(config) ? undefined : config.input_layers;
  const known = layers.flatMap((each) => layer.safeParse(each).data ?? []);
  if (!wanted) return known.slice(0, 1).map(inputOf);
  const names = (typeof wanted[0] === 'string' ? [wanted] : wanted).map((each) => (each as unknown[])[0]);
  return known.filter(({ config: { name } }) => names.includes(name)).map(inputOf);
}

function inputOf({ class_name: name, config }: z.infer<typeof layer>): GraphTensor {
  return {
    // A model that begins with another layer gets an input layer beside it.
    name: name === 'InputLayer' ? config.name : `${config.name}_input`,
    type: typeof config.dtype === 'string' ? typeName(config.dtype) : 'FLOAT',
    shape: config.batch_input_shape ?? config.batch_shape ?? null,
  };
}

/** TensorFlow.js has one type for all whole numbers, and a picture's are bytes. */
function typeName(dtype: unknown): string {
  if (dtype === 1 || dtype === 'DT_FLOAT' || dtype === 'float32') return 'FLOAT';
  if ([3, 4, 'DT_INT32', 'DT_UINT8', 'int32', 'uint8'].some((each) => each === dtype)) return 'UINT8';
  return String(dtype);
}

function shapeOf(shape: z.infer<typeof shapeProto> | undefined): GraphTensor['shape'] {
  if (!shape || shape.unknownRank) return null;
  return (shape.dim ?? []).map(({ size }) => (Number(size) > 0 ? Number(size) : null));
}
