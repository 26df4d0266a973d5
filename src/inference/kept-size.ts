import { BadUserInputError } from '../lib/errors.ts';
import type { FailedImage } from './request.ts';
import type { Results, ServedTask } from './tasks/read-output.ts';

/** 2 MB: what is kept is written in the transaction that books every tenant's requests, where a few ms are much. */
const MAX_KEPT_MASK_BYTES = 2_000_000;

/**
 * Throws BadUserInputError where masks are too big to be kept under an idempotency key. They alone are measured: whatever else
 * an answer holds is bounded by the images and by what may be found in each.
 */
export function requireKeepable(results: readonly (Results[ServedTask] | FailedImage)[]): void {
  let bytes = 0;
  for (const result of results) {
    if (result.kind !== 'segmentation') continue;
    for (const { rle } of result.segments) bytes += rle.length;
  }
  if (bytes <= MAX_KEPT_MASK_BYTES) return;
  throw new BadUserInputError(
    `${(bytes / 1e6).toFixed(1)} MB of masks are too much to keep under an idempotency key (${MAX_KEPT_MASK_BYTES / 1e6} MB): ` +
      'ask about fewer or smaller pictures, or leave input.idempotencyKey out. Nothing is billed.',
  );
}
