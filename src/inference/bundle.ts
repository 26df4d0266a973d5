import { z } from 'zod';
import type { Preprocessing } from './preprocessing.ts';

/**
 * The artefact of a model that has several files, as TensorFlow's have: it names them and says how pixels get into the
 * model, which nothing in those files can say. The files themselves are artefacts too, stored as they were brought.
 */
export interface Bundle {
  /** By their places in the model's folder, with slashes, the SHA-256 of each. */
  readonly files: Readonly<Record<string, string>>;
  /** What is done to `uint8 [N, height, width, 3]` pixels; null: the model is fed its own input. */
  readonly preprocessing: Preprocessing | null;
  /** Outputs that have no batch axis and are given one. */
  readonly unbatched: readonly string[];
}

/** The name of the input of a model whose pixels the engine prepares. */
export const PIXEL_INPUT = 'pixels';

/** A place below a folder, never beside or above it. */
const place = z.string().regex(/^(?!.*(^|\/)\.{0,2}(\/|$))[^\\\0]{1,512}$/);
const perChannel = z.array(z.number()).min(1).max(3);
const schema: z.ZodType<Bundle> = z.strictObject({
  files: z.record(place, z.string().regex(/^[0-9a-f]{64}$/)),
  preprocessing: z
    .strictObject({
      layout: z.enum(['NCHW', 'NHWC']),
      width: z.int().min(1),
      height: z.int().min(1),
      color: z.enum(['RGB', 'BGR', 'GRAY']),
      scale: z.number(),
      mean: perChannel,
      std: perChannel,
    })
    .nullable(),
  unbatched: z.array(z.string()),
});

export function writeBundle(bundle: Bundle): Uint8Array {
  return Buffer.from(JSON.stringify(bundle));
}

/** Throws an Error that says why the bytes are no bundle. */
export function readBundle(artifact: Uint8Array): Bundle {
  try {
    return schema.parse(JSON.parse(Buffer.from(artifact).toString('utf8')));
  } catch (error) {
    throw new Error(`the artefact lists no model's files: ${(error as Error).message}`, { cause: error });
  }
}
