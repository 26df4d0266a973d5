import { BusyError } from '../oip/errors.ts';
import type { BatchOutput, InferenceWorker } from '../pool/worker.ts';

/** So many images took a worker up for so long, together. */
export interface BatchCost {
  readonly images: number;
  readonly ms: number;
}

/**
 * What a batch of `images` cost the worker that answered it, after `ms` there and back. How long a shared one takes says what it
 * had to do for others, whom the batch may have been run with; what it computed is the batch's. null: it does not tell.
 */
export function costOf(
  { isShared }: InferenceWorker,
  images: number,
  outcome: BatchOutput | Error,
  ms: number,
): BatchCost | null {
  if (!isShared) return { images, ms };
  if (outcome instanceof BusyError) return { images, ms: 0 };
  if (outcome instanceof Error) return null;
  // It may have run them in several.
  return { images: Math.max(images, outcome.batchSize), ms: outcome.computeMs };
}
