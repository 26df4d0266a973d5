import { createHash } from 'node:crypto';
import type { ChosenVariant } from '../model-selection.ts';
import type { Readings, ServedTask } from '../tasks/read-output.ts';
import type { Variant } from '../variant.ts';

/**
 * Names the answer to one image: two images have it in common only where they would be answered alike, for one tenant. It is
 * the SHA-256 of everything that the answer depends on: the model and version by name; all that is known of the variant, its
 * artefact, its input and its labels among it, so that what is imported anew under an old name is another; the task and
 * how its outputs are to be read, the original's size among it; and every decoded pixel.
 *
 * @param pixels as the variant takes them
 * @returns 43 characters
 */
export function resultKey<T extends ServedTask>(
  tenantId: string,
  task: T,
  { model, version, variant }: ChosenVariant,
  reading: Readings[T],
  pixels: Uint8Array,
): string {
  // The labels are the variant's.
  const asked = { ...reading, labels: undefined };
  // JSON tells by itself where it ends and the pixels begin.
  const said = JSON.stringify([tenantId, task, model, version, digestOf(variant), asked]);
  return createHash('sha256').update(said).update(pixels).digest('base64url');
}

const digests = new WeakMap<Variant, string>();

/** A variant may have a thousand labels: they are not hashed for every image. */
function digestOf(variant: Variant): string {
  let digest = digests.get(variant);
  if (digest === undefined) {
    digest = createHash('sha256').update(JSON.stringify(variant)).digest('base64url');
    digests.set(variant, digest);
  }
  return digest;
}
