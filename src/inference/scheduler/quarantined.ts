import { ImageError } from '../images/image-error.ts';
import type { WorkerPool } from '../pool/pool.ts';
import type { QueuedImage } from './batch.ts';

type Asked = Pick<QueuedImage, 'chosen' | 'ticket' | 'pixels'>;

/** What an image is told that is not run since workers died of it, or of its model; null: it may be run. */
export function refusalOf(
  image: Asked,
  { quarantine, deadlyImages }: Pick<WorkerPool, 'quarantine' | 'deadlyImages'>,
): ImageError | null {
  const { model, version, variant } = image.chosen;
  const quarantined = quarantineOf(image, quarantine);
  if (quarantined || !deadlyImages.has(variant.key, image.pixels)) return quarantined;
  return refusal(
    `inference workers stopped each time that the model ${model}@${version} ran this image: it is not run again for some minutes`,
  );
}

/** As above, of its model alone. */
export function quarantineOf(
  { chosen: { model, version, variant }, ticket: { tenant } }: Pick<Asked, 'chosen' | 'ticket'>,
  quarantine: WorkerPool['quarantine'],
): ImageError | null {
  const made = `the model ${model}@${version} made inference workers end time and again`;
  const forAll = Math.ceil(quarantine.leftMs(variant.key) / 1_000);
  if (forAll > 0) return refusal(`${made}: it is not run for another ${forAll} s`);
  const forTenant = Math.ceil(quarantine.leftMs(variant.key, tenant) / 1_000);
  if (forTenant > 0)
    return refusal(`${made} on images of yours: it is not run on them for another ${forTenant} s`);
  return null;
}

function refusal(message: string): ImageError {
  return new ImageError('INFERENCE_FAILED', message);
}
