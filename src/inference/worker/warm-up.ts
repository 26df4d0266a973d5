import { bytesPerElement, elementCount, type Tensor } from '../tensor.ts';
import type { LoadedModel } from './engine.ts';

/**
 * Runs the model on zeros, one image and then `maxBatch`: the first answer to a client then costs what the others do, and
 * a graph that only works for one image is found here. A graph with other free dimensions is taken as it is, since no
 * size is known to fit. Throws an Error in the engine's words, with the batch that failed.
 */
export async function warmUp(model: LoadedModel, maxBatch: number): Promise<void> {
  const shapes = model.inputs.map(({ shape }) => shape);
  if (shapes.some((shape) => shape.slice(1).includes(-1))) return;
  const free = shapes.some((shape) => shape[0] === -1);
  const outputs = model.outputs.map(({ name }) => name);
  for (const batch of free && maxBatch > 1 ? [1, maxBatch] : [1]) {
    const zeros = model.inputs.map(({ name, datatype, shape: declared }): Tensor => {
      const shape = declared.map((length) => (length === -1 ? batch : length));
      return { name, datatype, shape, data: new Uint8Array(elementCount(shape) * bytesPerElement[datatype]) };
    });
    try {
      await model.run(zeros, outputs);
    } catch (error) {
      throw new Error(`it fails on ${batch} images of zeros: ${(error as Error).message}`, { cause: error });
    }
  }
}
