/** What the way from a client's bytes to an answer needs to know of a stored artefact. Made by `src/models`. */

export type Task = 'CLASSIFY' | 'DETECT' | 'SEGMENT';

/** A stored variant's compression. Callers may also ask for `AUTO`, which is resolved to one of these. */
export type Compression = 'NONE' | 'FLOAT16' | 'INT8' | 'PRUNED';

/** How a picture of any size becomes the model's `height × width × 3` bytes. */
export interface InputGeometry {
  readonly width: number;
  readonly height: number;
  /** cover: resize the short side to `resizeShort`, crop the centre · contain: letterbox · fill: stretch. */
  readonly fit: 'cover' | 'contain' | 'fill';
  /** `cover` alone: pixels of the short side before the crop; null: the crop's own size. */
  readonly resizeShort: number | null;
  /** `contain` alone: where the picture lies in its letterbox. */
  readonly align: 'center' | 'top-left';
  /** `contain` alone: the grey level around the picture, 0..255. */
  readonly pad: number;
}

/** How a classifier's output tensor is read. */
export interface ClassifyOutput {
  readonly kind: 'logits' | 'probabilities';
  readonly tensor: string;
  /** The column that is no answer, or null. */
  readonly background: number | null;
}

export interface Variant {
  /** The name it goes by in a worker; names the artefact and how it is fed, so two that differ never share it. */
  readonly key: string;
  readonly task: Task;
  readonly compression: Compression;
  /** The stored graph: takes `uint8 [N, height, width, 3]` RGB pixels, colour order and scaling inside. */
  readonly artifactSha256: string;
  readonly input: InputGeometry & { readonly tensor: string };
  readonly output: ClassifyOutput;
  /** One a graph column; the background column's entry, where there is one, is never answered. */
  readonly labels: readonly string[];
  /** Images the graph takes at once; 1 where its batch is fixed. */
  readonly maxBatch: number;
  readonly unitsPerImage: number;
}
