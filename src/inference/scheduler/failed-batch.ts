import { OverloadedError } from '../../lib/errors.ts';
import { ImageError } from '../images/image-error.ts';
import { ModelLoadError, OipError, WorkerFaultError, WorkerLostError } from '../oip/errors.ts';
import type { QueuedImage } from './batch.ts';
import type { Lane } from './lane.ts';

/** What becomes of the images of a batch that failed. */
export interface Course {
  /** Batches to be run at once. */
  readonly again: readonly (readonly QueuedImage[])[];
  /** Images to be queued. */
  readonly queue: readonly QueuedImage[];
  /** Those to be told what the client is to be told, and the reason for the log. */
  readonly fail: readonly { readonly image: QueuedImage; readonly reason: Error; readonly told: Error }[];
}

const nothing: Course = { again: [], queue: [], fail: [] };

/**
 * - The worker went away: each image is run once more, alone, since one of them may be what it died of; what two die of is
 *   OVERLOADED.
 * - It is at fault, or does not take the model: the batch is run as it is by each of the others, until one answers as it should.
 *   A fault may be over by the next time: where there is no other, it is run there once more.
 * - The model failed: one image can fail all that it is with, so each is queued alone. One that was alone is run on another
 *   worker, since this one may fail on all it is given; one that two fail on has failed.
 *
 * Marks the images accordingly. `images`: those of a batch that nobody else carries and somebody waits for. `hasOther`: whether
 * a worker but these is ready.
 */
export function afterFailure(
  images: readonly QueuedImage[],
  error: Error,
  lane: Lane,
  hasOther: (than: ReadonlySet<Lane>) => boolean,
): Course {
  const isFirst = images.every(({ avoided }) => avoided.size === 0);
  if (error instanceof WorkerLostError) {
    for (const image of images) image.lost += 1;
    const once = images.filter(({ lost }) => lost === 1);
    for (const image of once) {
      image.alone = true;
      image.avoided.add(lane);
    }
    return {
      ...failed(
        images.filter(({ lost }) => lost > 1),
        error,
      ),
      again: once.map((image) => [image]),
    };
  }
  if (error instanceof WorkerFaultError || error instanceof ModelLoadError) {
    for (const { avoided } of images) avoided.add(lane);
    const isWorthwhile = images[0] && hasOther(images[0].avoided);
    const again = isWorthwhile || (isFirst && error instanceof WorkerFaultError);
    return again ? { ...nothing, again: [images] } : failed(images, error);
  }
  const [image] = images;
  if (images.length === 1) {
    const others = new Set([...image!.avoided, lane]);
    if (image!.failedOn !== null || !isServers(error) || !hasOther(others)) return failed(images, error);
    image!.failedOn = { lane, reason: error.message };
    image!.avoided.add(lane);
    return { ...nothing, again: [images] };
  }
  for (const image of images) image.alone = true;
  return { ...nothing, queue: images };
}

/** Not what the request is to blame for, by its status. */
function isServers(error: Error): boolean {
  return error instanceof OipError && error.status >= 500;
}

function failed(images: readonly QueuedImage[], reason: Error): Course {
  return { ...nothing, fail: images.map((image) => ({ image, reason, told: toldOf(reason) })) };
}

/** What the client is told; the reason, which may name what is the operator's alone, is for the log. */
function toldOf(error: Error): Error {
  if (error instanceof WorkerLostError) {
    const twice = 'The inference worker stopped twice while it ran this image. Try again later.';
    return new OverloadedError(twice, { retryAfterMs: 1_000 });
  }
  if (error instanceof WorkerFaultError)
    return failure('the inference workers did not answer as they should; the fault is not in this image');
  if (error instanceof ModelLoadError)
    return failure('the model could not be loaded; the fault is not in this image');
  return error instanceof OipError ? failure('the model could not be run on this image') : error;
}

function failure(message: string): ImageError {
  return new ImageError('INFERENCE_FAILED', message);
}
