import { ImageError } from '../images/image-error.ts';
import type { ChosenVariant } from '../model-selection.ts';
import type { WorkerPool } from '../pool/pool.ts';

type Known = Pick<WorkerPool, 'quarantine' | 'deadlyImages'>;

/**
 * What the images of a variant are told that workers died of, or one image that they died of by itself; null: it may be run.
 * `pixels`: as the variant takes them; null: it is the variant alone that is asked about.
 */
export function refusalOf(
  { model, version, variant: { key } }: ChosenVariant,
  pixels: Uint8Array | null,
  { quarantine, deadlyImages }: Known,
): ImageError | null {
  const seconds = Math.ceil(quarantine.leftMs(key) / 1_000);
  if (seconds > 0)
    return refusal(
      `the model ${model}@${version} made inference workers end time and again: it is not run for another ${seconds} s`,
    );
  if (pixels !== null && deadlyImages.has(key, pixels))
    return refusal(
      `inference workers stopped each time that the model ${model}@${version} ran this image: it is not run again for some minutes`,
    );
  return null;
}

function refusal(message: string): ImageError {
  return new ImageError('INFERENCE_FAILED', message);
}
