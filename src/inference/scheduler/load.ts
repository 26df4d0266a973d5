import { DeadlineExceededError, errorCode } from '../../lib/errors.ts';
import type { Schedule } from '../pool/schedule.ts';
import type { QueuedImage } from './batch.ts';
import { hasRoomFor, type Wanted } from './choose-lane.ts';
import { partsOfKey } from './costs-of-all-kinds.ts';
import type { Lane } from './lane.ts';
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

/** A shared worker is told whose a batch is: those of each tenant apart. What was charged to several stays as it is. */
export function partsFor({ worker }: Lane, load: Load): Load[] {
  if (!worker.isShared) return [load];
  const parts = [...Map.groupBy(load.images, ({ ticket }) => ticket.tenant).values()];
  return parts.length === 1 ? [load] : parts.map((images) => ({ images, batch: null }));
}

/** What a shared worker is told of a batch of one tenant. As long as one of its images is of use it is. */
export function scheduleFor(images: readonly QueuedImage[], now: number): Schedule {
  const { tenant, weight } = images[0]!.ticket;
  return {
    ...{ tenant, weight },
    isUrgent: images.some(({ ticket }) => ticket.priority === 'INTERACTIVE'),
    timeoutMs: Math.max(...images.map(({ ticket }) => ticket.deadline)) - now,
  };
}

/**
 * Whether a worker has room for what is queued, by its key in the scheduler. While a batch waits for a better worker, the next of
 * its variant would do no better, on a shared one the next of its tenant. One that must not go where it failed holds up nobody.
 */
export function roomFor(waiting: readonly Load[], lanes: readonly Lane[]): (key: string) => boolean {
  const heldUp = waiting.map(({ images }) => wantedFor(images)).filter(({ avoided }) => avoided.size === 0);
  return (key) => {
    const { variantKey, kind: tenant } = partsOfKey(key);
    const isHeldUp = (by: Wanted) =>
      by.variantKey === variantKey && (tenant === null || by.tenant === null || by.tenant === tenant);
    return !heldUp.some(isHeldUp) && hasRoomFor(lanes, variantKey, tenant);
  };
}

/** What it asks of a worker. */
export function wantedFor(images: readonly QueuedImage[]): Wanted {
  const { chosen, avoided, ticket } = images[0]!;
  const isOfOne = images.every((image) => image.ticket.tenant === ticket.tenant);
  return {
    tenant: isOfOne ? ticket.tenant : null,
    ...{ variantKey: chosen.variant.key, images: images.length, avoided },
    isDoubtful: images.some(isDoubtful),
  };
}
