import { DeadlineExceededError, OverloadedError } from '../../lib/errors.ts';
import { ImageError } from '../images/image-error.ts';
import { BusyError, ModelLoadError, OipError, WorkerFaultError, WorkerLostError } from '../oip/errors.ts';
import type { QueuedImage } from './batch.ts';
import type { Death } from './deaths.ts';
import type { Lane } from './lane.ts';

const NO_TIME = 'The inference workers have no time for this image. Try again later.';
const OWN_SHARE = 'You have as many images waiting for a worker as you may have. Try again later.';

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

/** A batch that failed, and how. */
export interface Failure {
  readonly error: Error;
  readonly lane: Lane;
  /** null: it lives, or was told to go. */
  readonly death: Death | null;
  /** One image was all that the worker had. */
  readonly wasAlone: boolean;
  /** And it is known by now that workers break under that. */
  readonly isDeadly: boolean;
  /** Whether a worker but these is ready. */
  readonly hasOther: (than: ReadonlySet<Lane>) => boolean;
}

/** Of so many workers that had nothing else an image is what they died of. */
const ENOUGH_DEATHS = 2;
/** Where workers die without it as well, it may be chance, as somebody ends them: not so many times. */
const TOO_MANY_DEATHS = 5;
/** Workers that have no time for an image before it is told so. */
const ENOUGH_REFUSALS = 2;

/**
 * - The worker went away: each image is run again, alone on a worker that has nothing else, since one of them may be what it died
 *   of. Where two crashed or hung under one image alone, it was that; and where two merely died, and none without it lately.
 *   Workers that are ended from outside die with and without it.
 * - It has no time: another is asked, and then the client is.
 * - It is at fault, or does not take the model: the batch is run as it is by each of the others, until one answers as it should.
 *   A fault may be over by the next time: where there is no other, it is run there once more.
 * - It has no room, or none for more of the tenant's, or could not run it in time: the client is told so.
 * - The model failed: one image can fail all that it is with, so each is queued alone. One that was alone is run on another
 *   worker, since this one may fail on all it is given; one that two fail on has failed.
 *
 * Marks the images accordingly. `images`: those of a batch that nobody else carries and somebody waits for.
 */
export function afterFailure(images: readonly QueuedImage[], failure: Failure): Course {
  const { error, lane, death, hasOther } = failure;
  if (death !== null) return afterDeath(images, failure, death);
  if (error instanceof WorkerLostError) return afterRefusal(images, failure);
  const isFirst = images.every(({ avoided }) => avoided.size === 0);
  if (error instanceof BusyError) return failed(images, error);
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

function afterDeath(
  images: readonly QueuedImage[],
  failure: Failure,
  { number, firstLately }: Death,
): Course {
  const { error, lane, wasAlone, isDeadly } = failure;
  for (const image of images) {
    if (image.lost === 0) image.firstDeath = firstLately;
    image.lost += 1;
    if (wasAlone) image.lostAlone += 1;
    image.alone = true;
    image.avoided.add(lane);
  }
  const isCulprit = ({ lost, lostAlone, firstDeath }: QueuedImage) => {
    const othersDied = number - firstDeath + 1 > lost;
    return isDeadly || lostAlone >= (othersDied ? TOO_MANY_DEATHS : ENOUGH_DEATHS);
  };
  const innocent = images.filter((image) => !isCulprit(image));
  return { ...failed(images.filter(isCulprit), error), again: innocent.map((image) => [image]) };
}

function afterRefusal(images: readonly QueuedImage[], { error, lane }: Failure): Course {
  for (const image of images) {
    image.refused += 1;
    image.avoided.add(lane);
  }
  const isRefused = ({ refused }: QueuedImage) => refused >= ENOUGH_REFUSALS;
  const again = images.filter((image) => !isRefused(image));
  const told = new OverloadedError(NO_TIME, { retryAfterMs: 1_000 });
  return { ...failed(images.filter(isRefused), error, told), again: again.length > 0 ? [again] : [] };
}

/** Not what the request is to blame for, by its status. */
function isServers(error: Error): boolean {
  return error instanceof OipError && error.status >= 500;
}

function failed(images: readonly QueuedImage[], reason: Error, told = toldOf(reason)): Course {
  return { ...nothing, fail: images.map((image) => ({ image, reason, told })) };
}

/** What the client is told; the reason, which may name what is the operator's alone, is for the log. */
function toldOf(error: Error): Error {
  if (error instanceof BusyError) return busy(error);
  if (error instanceof WorkerLostError)
    return failure('inference workers stopped each time that they ran this image');
  if (error instanceof WorkerFaultError)
    return failure('the inference workers did not answer as they should; the fault is not in this image');
  if (error instanceof ModelLoadError)
    return failure('the model could not be loaded; the fault is not in this image');
  return error instanceof OipError ? failure('the model could not be run on this image') : error;
}

function busy({ reason, retryAfterMs }: BusyError): Error {
  if (reason === 'late') return new DeadlineExceededError('the image could not be run before its deadline');
  // How full it is for others is nobody's business.
  const message = reason === 'full' ? NO_TIME : OWN_SHARE;
  return new OverloadedError(message, { retryAfterMs: retryAfterMs ?? 1_000 });
}

function failure(message: string): ImageError {
  return new ImageError('INFERENCE_FAILED', message);
}
