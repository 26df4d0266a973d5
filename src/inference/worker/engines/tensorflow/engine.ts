import { writeSync } from 'node:fs';
import { join } from 'node:path';
import tf from '@tensorflow/tfjs-core';
import { type Bundle, PIXEL_INPUT, readBundle } from '../../../bundle.ts';
import { bytesOf, elementsOf } from '../../../oip/elements.ts';
import type { DataType, Tensor, TensorMetadata } from '../../../tensor.ts';
import type { ModelFormat } from '../../../variant.ts';
import type { Engine, LoadedModel, StoredFiles } from '../../engine.ts';
import { preparePixels } from './prepare-pixels.ts';
import type { RawModel } from './raw-model.ts';
import { INSTALL_NATIVE, type TensorFlowRuntime } from './runtime.ts';
import { loadSavedModel } from './saved-model.ts';
import { loadGraphModel, loadLayersModel } from './tfjs-model.ts';

export type TensorFlowFormat = Exclude<ModelFormat, 'onnx'>;

const platforms: Readonly<Record<TensorFlowFormat, string>> = {
  'saved-model': 'tensorflow_savedmodel',
  'tfjs-graph': 'tensorflowjs_graph',
  'tfjs-layers': 'tensorflowjs_layers',
};

/** Runs the models of one TensorFlow format; what a model's artefact is, `Bundle` says. */
export function tensorFlowEngine(format: TensorFlowFormat, runtime: TensorFlowRuntime): Engine {
  return {
    platform: platforms[format],
    async load(artifact, files) {
      const bundle = readBundle(artifact);
      const raw = await loadRaw(format, runtime, bundle, files);
      try {
        return await prepareModel(raw, bundle, runtime.device);
      } catch (error) {
        raw.dispose();
        throw error;
      }
    },
  };
}

function loadRaw(
  format: TensorFlowFormat,
  { native, obstacles }: TensorFlowRuntime,
  bundle: Bundle,
  { folder, hashes }: StoredFiles,
): Promise<RawModel> {
  const pathOf = (sha256: string) => {
    // What is not among them was not held against its hash.
    if (!hashes.includes(sha256))
      throw new Error(`the artefact names ${sha256}, which is not among its files`);
    return join(folder, sha256.slice(0, 2), sha256);
  };
  if (format === 'tfjs-graph') return loadGraphModel(bundle, pathOf);
  if (format === 'tfjs-layers') return loadLayersModel(bundle, pathOf);
  if (native) return loadSavedModel(native, bundle, pathOf);
  throw new Error(`a SavedModel needs native TensorFlow: ${INSTALL_NATIVE} (${obstacles.join('; ')})`);
}

async function prepareModel(raw: RawModel, bundle: Bundle, device: string): Promise<LoadedModel> {
  const { preprocessing, unbatched } = bundle;
  const [batch = -1, ...rest] = raw.input.shape;
  const input: TensorMetadata = preprocessing
    ? { name: PIXEL_INPUT, datatype: 'UINT8', shape: [batch, preprocessing.height, preprocessing.width, 3] }
    : { name: raw.input.name, datatype: raw.input.takesBytes ? 'UINT8' : 'FP32', shape: [batch, ...rest] };
  const feed = ({ shape, data }: Tensor): tf.Tensor => {
    if (preprocessing) return preparePixels(data, shape[0]!, preprocessing, raw.input);
    if (raw.input.takesBytes) return tf.tensor(Int32Array.from(data), [...shape], 'int32');
    return tf.tensor(Float32Array.from(elementsOf('FP32', data)), [...shape]);
  };
  const run = async (given: Tensor, outputs: readonly string[]): Promise<Tensor[]> => {
    const held = [feed(given)];
    try {
      const answers = await raw.run(held[0]!, outputs);
      held.push(...answers);
      return answers.map((tensor, index) => read(outputs[index]!, tensor, unbatched));
    } catch (error) {
      endBroken(error);
      throw error;
    } finally {
      tf.dispose(held);
    }
  };
  return {
    inputs: [input],
    outputs: await describeOutputs(raw, input, run),
    device,
    run: ([given], outputs) => run(given!, outputs),
    dispose: async () => raw.dispose(),
  };
}

/**
 * TensorFlow.js on WebAssembly does not look whether its memory is full, and writes over its own then: every later run of any
 * model fails, or answers wrongly. Whoever started this process starts another.
 */
function endBroken(error: unknown): void {
  if (!(error instanceof Error) || error.name !== 'RuntimeError') return; // WebAssembly's own
  try {
    // Not `process.stderr`: what a thread writes there is lost where it ends.
    writeSync(2, `the worker ends, since TensorFlow.js broke down on WebAssembly: ${error.message}\n`);
  } finally {
    process.exit(70);
  }
}

/** An output's numbers. Throws an Error where they are of a type that the protocol has no word for. */
function read(name: string, tensor: tf.Tensor, unbatched: readonly string[]): Tensor {
  const data = tensor.dataSync() as ArrayBufferView;
  const datatype = dataTypeOf(tensor, data);
  if (!datatype) throw new Error(`output '${name}' has the unsupported type ${tensor.dtype}`);
  const shape = unbatched.includes(name) ? [1, ...tensor.shape] : tensor.shape;
  return { name, datatype, shape, data: bytesOf(data) };
}

/** By the numbers themselves: TensorFlow.js calls all whole numbers int32, those of 64 bits and of 8 too. */
function dataTypeOf({ dtype }: tf.Tensor, data: unknown): DataType | undefined {
  if (dtype === 'complex64' || dtype === 'string') return undefined;
  if (data instanceof Float32Array) return 'FP32';
  if (data instanceof Int32Array) return 'INT32';
  if (data instanceof BigInt64Array) return 'INT64';
  if (data instanceof Uint8Array) return dtype === 'bool' ? 'BOOL' : 'UINT8';
  return undefined;
}

/** The files do not always say what the outputs look like: a run on zeros does, where it is known how large its input is. */
async function describeOutputs(
  raw: RawModel,
  { name, datatype, shape: [batch, ...rest] }: TensorMetadata,
  run: (given: Tensor, outputs: readonly string[]) => Promise<Tensor[]>,
): Promise<TensorMetadata[]> {
  if (rest.includes(-1))
    return raw.outputs.map((output) => ({ name: output, datatype: 'FP32', shape: [-1] }));
  const shape = [1, ...rest];
  const bytes = shape.reduce((product, length) => product * length, datatype === 'UINT8' ? 1 : 4);
  const answered = await run({ name, datatype, shape, data: new Uint8Array(bytes) }, raw.outputs);
  return answered.map((output) => ({
    name: output.name,
    datatype: output.datatype,
    shape: batch === -1 && output.shape[0] === 1 ? [-1, ...output.shape.slice(1)] : output.shape,
  }));
}
