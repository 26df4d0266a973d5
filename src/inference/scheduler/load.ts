import { DeadlineExceededError, errorCode } from '../../lib/errors.ts';
import type { QueuedImage } from './batch.ts';
import type { Wanted } from './choose-lane.ts';
import type { Batch } from './work.ts';

/** Images that a worker is given together. */
export interface Load {
  readonly images: readonly QueuedImage[];
  /** What the scheduler charged for them; null: they are run again, which nobody pays for. */
  readonly batch: Batch<QueuedImage> | null;
}

/** Whether somebody waits for its answer. */
export function isWanted({ settled, ticket }: QueuedImage): boolean {
  return !settled && !ticket.abandoned.aborted;
}

/** Whether a worker died under it: it is run on one that has nothing else, to see which of them it was. */
export function isDoubtful({ lost }: QueuedImage): boolean {
  return lost > 0;
}

export function settle(image: QueuedImage, error: Error): void {
  image.settled = true;
  image.waiting.end(errorCode(error));
  image.reject(error);
}

export function tooLate(): DeadlineExceededError {
  return new DeadlineExceededError('the deadline passed while the image waited for a worker');
}

/** What it asks of a worker. */
export function wantedFor(images: readonly QueuedImage[]): Wanted {
  const { chosen, avoided } = images[0]!;
  return {
    ...{ variantKey: chosen.variant.key, images: images.length, avoided },
    isDoubtful: images.some(isDoubtful),
  };
}
