import { ImageError } from '../images/image-error.ts';

/** How far from 0..1 rounding may take a probability. */
export const ROUNDING = 1e-3;

/**
 * The probability that `value` is, within 0..1.
 * @throws ImageError INFERENCE_FAILED where it is none
 */
export function probability(value: number): number {
  // Written so that NaN is refused too.
  if (value >= -ROUNDING && value <= 1 + ROUNDING) return within01(value);
  throw noProbability(value);
}

/** Without what rounding put outside 0..1. */
export function within01(value: number): number {
  return Math.min(1, Math.max(0, value));
}

/** Shifted by the maximum, so that no exponential overflows. */
export function softmax(logits: Float32Array): Float32Array {
  let maximum = Number.NEGATIVE_INFINITY;
  for (const logit of logits) maximum = Math.max(maximum, logit);
  const exponentials = new Float32Array(logits.length);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const exponential = Math.exp(logits[i]! - maximum);
    exponentials[i] = exponential;
    sum += exponential;
  }
  for (let i = 0; i < exponentials.length; i++) exponentials[i] = exponentials[i]! / sum;
  return exponentials;
}

export function noProbability(value: number): ImageError {
  return new ImageError(
    'INFERENCE_FAILED',
    `the model answered ${value} for this image, which is no probability`,
  );
}
