import { ImageError } from '../images/image-error.ts';
import type { ChosenVariant } from '../model-selection.ts';
import type { Quarantine } from '../pool/quarantine.ts';

/** What the images of a variant are told that workers died of; null: it may be run. */
export function refusalOf(
  { model, version, variant }: ChosenVariant,
  quarantine: Quarantine,
): ImageError | null {
  const seconds = Math.ceil(quarantine.leftMs(variant.key) / 1_000);
  if (seconds === 0) return null;
  return new ImageError(
    'INFERENCE_FAILED',
    `the model ${model}@${version} made inference workers end time and again: it is not run for another ${seconds} s`,
  );
}
