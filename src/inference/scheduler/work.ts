import type { Priority } from '../request.ts';

/** What waits for its turn on a device: one image, or several that stay together. */
export interface Work<Payload> {
  /** Images of one variant share a batch, and nothing else does. */
  readonly variantKey: string;
  /** At least 1. */
  readonly images: number;
  /** Images that a batch with this in it holds at most; what is larger itself is run alone. */
  readonly maxBatch: number;
  readonly tenant: string;
  /** The tenant's share of a saturated device, above 0. */
  readonly weight: number;
  readonly priority: Priority;
  /** Of a tenant's works of one priority lower ones go first; 0 where it is left out. */
  readonly level?: number;
  /** Milliseconds on the clock that the scheduler is told; from then on it is not worth running. */
  readonly deadline: number;
  /** How long a batch that is not full may wait for more because of it, milliseconds. 0: it runs as soon as it can. */
  readonly maxQueueDelayMs: number;
  readonly payload: Payload;
}

export interface Batch<Payload> {
  readonly variantKey: string;
  readonly works: readonly Work<Payload>[];
  readonly images: number;
  /** Device time that its tenants were charged for it, milliseconds. */
  readonly estimatedMs: number;
}

/** What a scheduler asks about the time that batches take a device up, there and back. */
export interface BatchCosts {
  /** Estimated milliseconds. A larger batch takes no less, and for each of its images no more. */
  batchMs(variantKey: string, images: number): number;
  /** The least that the variant takes, milliseconds: what is due before that is past is not worth running. */
  soonestMs(variantKey: string, now: number): number;
  /** How many images a batch of the variant is worth waiting for, 1 to `maxBatch`. */
  batchSize(variantKey: string, maxBatch: number): number;
}
