import { ImageError } from '../images/image-error.ts';

/** How far from 0..1 rounding may take a probability. */
export const ROUNDING = 1e-3;

/**
 * The probability that `value` is, within 0..1.
 * @throws ImageError INFERENCE_FAILED where it is none
 */
export function probability(value: number): number {
  // Written so that NaN is refused too.
  if (value >= -ROUNDING && value <= 1 + ROUNDING) return Math.min(1, Math.max(0, value));
  throw noProbability(value);
}

export function noProbability(value: number): ImageError {
  return new ImageError(
    'INFERENCE_FAILED',
    `the model answered ${value} for this image, which is no probability`,
  );
}
