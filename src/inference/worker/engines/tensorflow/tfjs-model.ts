import { readFile } from 'node:fs/promises';
import tf from '@tensorflow/tfjs-core';
import type { Bundle } from '../../../bundle.ts';
import { onlyInput, type RawModel } from './raw-model.ts';
import { toKeras2 } from './to-keras-2.ts';

/** The file that describes the model and names the files of its weights. */
const MODEL_FILE = 'model.json';

/** Loads a TensorFlow.js graph model. Throws an Error in its words. */
export async function loadGraphModel(bundle: Bundle, pathOf: (sha256: string) => string): Promise<RawModel> {
  const { default: converter } = await import('@tensorflow/tfjs-converter');
  const model = await converter.loadGraphModel(tf.io.fromMemory(await readArtifacts(bundle, pathOf)));
  const [name, { shape = [], dtype }] = onlyInputOf(
    model,
    Object.fromEntries(model.inputs.map((input) => [input.name, input])),
  );
  // An output that is a constant is answered as the weight itself, which must outlive its answer.
  const weights = new Set(Object.values(model.weights).flat());
  const answers = (tensors: tf.Tensor | tf.Tensor[]) =>
    [tensors].flat().map((tensor) => (weights.has(tensor) ? tf.clone(tensor) : tensor));
  // A graph with control flow, or with outputs whose size hangs on values, cannot be run at one go. Its first run tells.
  let atOneGo = true;
  return {
    input: { name, shape: (shape ?? []).map(lengthOf), takesBytes: dtype !== 'float32' },
    outputs: model.outputs.map((output) => output.name),
    run: async (input, outputs) => {
      if (atOneGo) {
        try {
          return answers(model.execute({ [name]: input }, [...outputs]));
        } catch (error) {
          if (!(error as Error).message.includes('executeAsync')) throw error;
          atOneGo = false;
        }
      }
      return answers(await model.executeAsync({ [name]: input }, [...outputs]));
    },
    dispose: () => model.dispose(),
  };
}

/** Loads a TensorFlow.js layers model: Keras' own architecture, of Keras 2 or 3. Throws an Error in its words. */
export async function loadLayersModel(bundle: Bundle, pathOf: (sha256: string) => string): Promise<RawModel> {
  const { default: layers } = await import('@tensorflow/tfjs-layers');
  const artifacts = toKeras2(await readArtifacts(bundle, pathOf));
  const model = await layers.loadLayersModel(tf.io.fromMemory(artifacts));
  // A model that is a sequence knows its tensors' names by their layers alone.
  const [name, { shape, dtype }] = onlyInputOf(
    model,
    Object.fromEntries(model.inputs.map((input) => [input.sourceLayer.name, input])),
  );
  const names = model.outputs.map((output) => output.sourceLayer.name);
  return {
    input: { name, shape: shape.map(lengthOf), takesBytes: dtype !== 'float32' },
    outputs: names,
    run: async (input, outputs) => {
      const all = [model.predictOnBatch(input)].flat();
      names.forEach((each, index) => {
        if (!outputs.includes(each)) all[index]!.dispose();
      });
      return outputs.map((each) => all[names.indexOf(each)]!);
    },
    dispose: () => {
      model.dispose();
    },
  };
}

/** As `onlyInput`; a model that is refused leaves no weights behind. */
function onlyInputOf<T>(model: { dispose(): unknown }, inputs: Readonly<Record<string, T>>): [string, T] {
  try {
    return onlyInput(inputs);
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** The model's files as the loaders take them. What they hold was checked when they were imported. */
async function readArtifacts(
  { files }: Bundle,
  pathOf: (sha256: string) => string,
): Promise<tf.io.ModelArtifacts> {
  const read = (place: string) => {
    const sha256 = files[place];
    if (sha256 === undefined) throw new Error(`the artefact lists no file '${place}'`);
    return readFile(pathOf(sha256));
  };
  const { weightsManifest, ...model } = JSON.parse(
    (await read(MODEL_FILE)).toString('utf8'),
  ) as tf.io.ModelJSON;
  const pieces: Buffer[] = [];
  for (const { paths } of weightsManifest) for (const path of paths) pieces.push(await read(path));
  const weights = new Uint8Array(Buffer.concat(pieces));
  return {
    ...model,
    weightSpecs: weightsManifest.flatMap((group) => group.weights),
    weightData: weights.buffer,
  };
}

function lengthOf(length: number | null): number {
  return length === null || length < 0 ? -1 : length;
}
