import { bytesPerElement, elementCount, type Tensor, type TensorMetadata } from '../tensor.ts';
import { answersAlike } from './answers-alike.ts';
import type { LoadedModel } from './engine.ts';
import type { ModelSource } from './held-model.ts';
import { oneByOne } from './one-by-one.ts';

/** Elsewhere batches are what makes it fast, and every size of them has kernels of its own. */
const cpus = ['cpu', 'wasm'];

/** A model that has been run. */
export interface WarmModel {
  /** It, or one that runs its batches image by image. */
  readonly model: LoadedModel;
  /** Whether, as far as is known, it answers a row for each image of a batch. */
  readonly answersByImage: boolean;
}

/**
 * Runs the model, on one image and then `maxBatch`: the first answer to a client then costs what the others do, and a
 * graph that only works for one image is found here. Pixels are noise, since an engine holds its first answer against
 * another's, and a picture of one colour would hide one that is turned round; other inputs are zeros. A graph with other
 * free dimensions is taken as it is, since no size is known to fit, and nothing is known of its answers. Where `exactBatches` asks for it, a model whose answers
 * change with the batch runs image by image.
 *
 * @throws Error in the engine's words, with the batch that failed
 */
export async function warmUp(
  model: LoadedModel,
  { maxBatch, exactBatches }: Pick<ModelSource, 'maxBatch' | 'exactBatches'>,
): Promise<WarmModel> {
  const shapes = model.inputs.map(({ shape }) => shape);
  if (shapes.some((shape) => shape.slice(1).includes(-1))) return { model, answersByImage: false };
  const images = model.inputs.map((input) => imagesOfNoise(input, maxBatch));
  const outputs = model.outputs.map(({ name }) => name);
  let answersByImage = true;
  const run = async (from: number, count: number) => {
    try {
      const inputs = images.map((of) => of(from, count));
      const answers = await model.run(inputs, outputs);
      if (answers.some(({ shape }) => shape[0] !== count)) answersByImage = false;
      return answers;
    } catch (error) {
      throw new Error(`it fails on ${count} images of noise: ${(error as Error).message}`, { cause: error });
    }
  };
  const alone = await run(0, 1);
  if (maxBatch === 1 || !shapes.some((shape) => shape[0] === -1)) return { model, answersByImage };
  const together = await run(0, maxBatch);
  const isDivisible = exactBatches && cpus.includes(model.device) && shapes.every((shape) => shape[0] === -1);
  if (!isDivisible || (await answersAlike(run, maxBatch, { alone, together })))
    return { model, answersByImage };
  return { model: oneByOne(model), answersByImage };
}

/** The same images each time; of an input whose batch is fixed, as many as it takes. */
function imagesOfNoise(
  { name, datatype, shape: declared }: TensorMetadata,
  most: number,
): (from: number, count: number) => Tensor {
  const [batch, ...rest] = declared;
  const bytes = elementCount(rest) * bytesPerElement[datatype];
  const data = new Uint8Array(bytes * (batch === -1 ? most : (batch ?? 1)));
  if (datatype === 'UINT8') fillWithNoise(data);
  return (from, count) => {
    if (batch !== -1) return { name, datatype, shape: declared, data };
    const some = data.subarray(from * bytes, (from + count) * bytes);
    return { name, datatype, shape: [count, ...rest], data: some };
  };
}

/** The same numbers each time (a linear congruential generator's upper bits). */
function fillWithNoise(data: Uint8Array): void {
  let state = 1;
  for (let at = 0; at < data.length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    data[at] = state >>> 24;
  }
}
