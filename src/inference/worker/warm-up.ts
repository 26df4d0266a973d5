import { bytesPerElement, elementCount, type Tensor } from '../tensor.ts';
import type { LoadedModel } from './engine.ts';

/**
 * Runs the model, on one image and then `maxBatch`: the first answer to a client then costs what the others do, and a
 * graph that only works for one image is found here. Pixels are noise, since an engine holds its first answer against
 * another's, and a picture of one colour would hide one that is turned round; other inputs are zeros. A graph with other
 * free dimensions is taken as it is, since no size is known to fit. Throws an Error in the engine's words, with the batch
 * that failed; answers whether, as far as is known, it answers a row for each image of a batch.
 */
export async function warmUp(model: LoadedModel, maxBatch: number): Promise<boolean> {
  const shapes = model.inputs.map(({ shape }) => shape);
  if (shapes.some((shape) => shape.slice(1).includes(-1))) return true;
  let answersByImage = true;
  const free = shapes.some((shape) => shape[0] === -1);
  const outputs = model.outputs.map(({ name }) => name);
  for (const batch of free && maxBatch > 1 ? [1, maxBatch] : [1]) {
    const inputs = model.inputs.map(({ name, datatype, shape: declared }): Tensor => {
      const shape = declared.map((length) => (length === -1 ? batch : length));
      const data = new Uint8Array(elementCount(shape) * bytesPerElement[datatype]);
      return { name, datatype, shape, data: datatype === 'UINT8' ? noise(data) : data };
    });
    try {
      const answers = await model.run(inputs, outputs);
      if (answers.some(({ shape }) => shape[0] !== batch)) answersByImage = false;
    } catch (error) {
      throw new Error(`it fails on ${batch} images of noise: ${(error as Error).message}`, { cause: error });
    }
  }
  return answersByImage;
}

/** Fills it with the same numbers each time (a linear congruential generator's upper bits). */
function noise(data: Uint8Array): Uint8Array {
  let state = 1;
  return data.map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state >>> 24;
  });
}
