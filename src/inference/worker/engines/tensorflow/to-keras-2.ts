import type tf from '@tensorflow/tfjs-core';

/**
 * TensorFlow.js 4.22 reads the architecture of Keras 2 alone, while its converter writes that of Keras 3 where the model
 * comes from there. This says the same in Keras 2's words: how an input's shape and a data type are written, how a layer
 * names those that it reads, and how weights are called. Other models are left as they are.
 */
export function toKeras2(artifacts: tf.io.ModelArtifacts): tf.io.ModelArtifacts {
  const topology = artifacts.modelTopology as Topology;
  if (!topology.keras_version?.startsWith('3.')) return artifacts;
  // A model that is a sequence stands before its layers' names.
  const prefix = `${topology.model_config.config.name}/`;
  const weightSpecs = artifacts.weightSpecs!.map((weight) => ({
    ...weight,
    name: weight.name.startsWith(prefix) ? weight.name.slice(prefix.length) : weight.name,
  }));
  return { ...artifacts, modelTopology: convert(topology) as object, weightSpecs };
}

interface Topology {
  readonly keras_version?: string;
  readonly model_config: { readonly config: { readonly name: string } };
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Known by its place: `[layer, node, tensor]`, which an object with arguments stands for in Keras 3. */
type History = [string, number, number];

function convert(value: unknown): Json {
  if (Array.isArray(value)) return value.map(convert);
  if (typeof value !== 'object' || value === null) return value as Json;
  const object = value as Record<string, unknown>;
  if (object.class_name === 'DTypePolicy') return (object.config as { name: string }).name;
  const converted: { [key: string]: Json } = {};
  for (const [key, each] of Object.entries(object)) {
    if (key === 'module' || key === 'registered_name' || key === 'build_config') continue;
    if (key === 'batch_shape') converted.batch_input_shape = convert(each);
    else if (key === 'inbound_nodes') converted[key] = (each as unknown[]).map(inboundNode);
    else if (key === 'input_layers' || key === 'output_layers') converted[key] = listOfHistories(each);
    else converted[key] = convert(each);
  }
  return converted;
}

/** One call of a layer: the tensors among its positional arguments, with its other arguments beside the first. */
function inboundNode(node: unknown): Json {
  if (Array.isArray(node)) return node as Json;
  const { args, kwargs } = node as { args: unknown[]; kwargs: Record<string, unknown> };
  const rest = Object.entries(kwargs ?? {}).filter(([, each]) => each !== null);
  return historiesIn(args).map((history) => [...history, Object.fromEntries(rest) as Json]);
}

function historiesIn(value: unknown): History[] {
  if (Array.isArray(value)) return value.flatMap(historiesIn);
  const { class_name: name, config } = (value ?? {}) as {
    class_name?: string;
    config?: { keras_history: History };
  };
  return name === '__keras_tensor__' && config ? [config.keras_history] : [];
}

/** Keras 3 leaves out the outer list where there is one tensor alone. */
function listOfHistories(value: unknown): Json {
  return (Array.isArray(value) && typeof value[0] === 'string' ? [value] : value) as Json;
}
