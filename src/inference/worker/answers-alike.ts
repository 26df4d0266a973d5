import { createHash } from 'node:crypto';
import { bytesPerElement, elementCount, type Tensor } from '../tensor.ts';

/** Answers of `count` images, from the one at `from` on, run as one batch. */
export type RunImages = (from: number, count: number) => Promise<readonly Tensor[]>;

/** Nothing else is run while a model is looked at, and whoever asked for it waits. */
const LOOK_MS = 300;

/**
 * Whether a model answers to each image of a batch, bit for bit, what it answers to that image alone. An engine may choose its
 * kernels by the batch, and with them the order in which it adds. In ONNX Runtime on the CPU, for instance, a lone image's
 * small convolution is divided among the threads where a batch's is not, and the width of a thread's share decides how long
 * the sums are that are added up; and a mean over a middle axis is taken by another kernel once there are as many images as
 * threads. No option of a session changes that.
 *
 * Looked at are the images of the largest batch one by one, and then every smaller batch, for 300 ms: the first image is
 * always compared, and each of the two above changes all of them. A graph with an output that is not the images' own, one after
 * the other, cannot be run image by image, and counts as alike.
 *
 * @param alone the first image's answer
 * @param together the answers of the largest batch
 */
export async function answersAlike(
  run: RunImages,
  maxBatch: number,
  { alone, together }: { alone: readonly Tensor[]; together: readonly Tensor[] },
): Promise<boolean> {
  const until = performance.now() + LOOK_MS;
  const full = digestsOf(together, maxBatch);
  if (full === null) return true;
  if (digestsOf(alone, 1)?.[0] !== full[0]) return false;
  for (let image = 1; image < maxBatch && performance.now() < until; image++) {
    if (digestsOf(await run(image, 1), 1)?.[0] !== full[image]) return false;
  }
  for (let count = 2; count < maxBatch && performance.now() < until; count++) {
    const found = digestsOf(await run(0, count), count) ?? [];
    if (found.some((digest, image) => digest !== full[image])) return false;
  }
  return true;
}

/** One an image, of all its answers; null where an output has not one part for each. */
function digestsOf(tensors: readonly Tensor[], images: number): string[] | null {
  if (tensors.some(({ shape }) => shape[0] !== images)) return null;
  const hashes = Array.from({ length: images }, () => createHash('sha256'));
  for (const { datatype, shape, data } of tensors) {
    const bytes = elementCount(shape.slice(1)) * bytesPerElement[datatype];
    for (const [image, hash] of hashes.entries()) {
      hash.update(shape.slice(1).join()).update(data.subarray(image * bytes, (image + 1) * bytes));
    }
  }
  return hashes.map((hash) => hash.digest('base64'));
}
