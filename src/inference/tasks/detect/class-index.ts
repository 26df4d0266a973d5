import { ImageError } from '../../images/image-error.ts';

/**
 * The class that a model's number is.
 * @param labels how many labels there are
 * @throws ImageError INFERENCE_FAILED where it is none of theirs
 */
export function classIndex(value: number, labels: number): number {
  if (Number.isInteger(value) && value >= 0 && value < labels) return value;
  throw new ImageError(
    'INFERENCE_FAILED',
    `the model answered class ${value} for this image, which is no whole number from 0 to ${labels - 1}`,
  );
}
