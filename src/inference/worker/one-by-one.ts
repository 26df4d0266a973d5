import type { Tensor } from '../tensor.ts';
import type { LoadedModel } from './engine.ts';

/**
 * A model whose batches are run image by image, so that what it answers to one depends on no other. On a CPU that costs a
 * fifth of the speed at most: what a batch saves there is little.
 */
export function oneByOne(model: LoadedModel): LoadedModel {
  const remark =
    'it answers to an image in a batch otherwise than to the image alone, by rounding: the images of its batches are run one by one';
  return {
    ...model,
    remarks: [...(model.remarks ?? []), remark],
    async run(inputs, outputs) {
      const images = inputs[0]!.shape[0]!;
      if (images === 1) return model.run(inputs, outputs);
      const answers: Tensor[] = [];
      for (let image = 0; image < images; image++) {
        const alone = inputs.map((input) => imageOf(input, image));
        for (const [index, answer] of (await model.run(alone, outputs)).entries()) {
          answers[index] ??= roomFor(answer, images);
          put(answer, answers[index], image);
        }
      }
      return answers;
    },
  };
}

function imageOf(input: Tensor, image: number): Tensor {
  const bytes = input.data.byteLength / input.shape[0]!;
  const data = input.data.subarray(image * bytes, (image + 1) * bytes);
  return { ...input, shape: [1, ...input.shape.slice(1)], data };
}

function roomFor(answer: Tensor, images: number): Tensor {
  const data = new Uint8Array(answer.data.byteLength * images);
  return { ...answer, shape: [images, ...answer.shape.slice(1)], data };
}

/** Throws an Error where the answer is of another size than those before it: they are no batch. */
function put(answer: Tensor, { name, shape, data }: Tensor, image: number): void {
  if (answer.shape.slice(1).join() !== shape.slice(1).join())
    throw new Error(
      `its output '${name}' has the shape [${answer.shape.join()}] for image ${image} of a batch`,
    );
  data.set(answer.data, image * answer.data.byteLength);
}
