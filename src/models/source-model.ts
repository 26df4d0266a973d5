import type { ModelFormat } from '../inference/variant.ts';
import type { InputFit } from './fit-input.ts';
import type { Head } from './heads/head.ts';
import type { ManifestInput } from './manifest.ts';
import type { Fault } from './manifest-error.ts';

/** A model as it was brought: what an import needs to know of each format. */
export interface SourceModel {
  readonly format: ModelFormat;
  /** SHA-256 of the manifest's `file`. */
  readonly sha256: string;
  /** The files that its artefacts point to, by their SHA-256. */
  readonly files: ReadonlyMap<string, ModelFile>;
  /** Holds the manifest's `input` against the model's own; null where it pushed faults. */
  fitInput(wish: ManifestInput, faults: Fault[]): InputFit | null;
  /** The artefact that runs it as it was brought, on its own input. */
  original(): Uint8Array;
  /** Whether any of these outputs is computed from what is in `input`; null: the file does not tell. */
  dependsOn(input: string, outputs: readonly string[]): boolean | null;
  /** Artefacts that take pixels and answer what the head reads, with a batch axis; the best first, `most` pictures at once at most. */
  served(fit: InputFit, head: Head, most: number): Iterable<ServedArtifact>;
}

export interface ServedArtifact {
  readonly artifact: Uint8Array;
  /** By which it takes `uint8 [N, height, width, 3]`. */
  readonly inputTensor: string;
  readonly maxBatch: number;
}

/** A file of a model, beside the artefact. */
export interface ModelFile {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** Said before each file that is hashed, which takes seconds where it is large. */
export type TellFile = (path: string) => void;

/** What a format's reader is given. */
export interface SourceOptions {
  readonly manifestPath: string;
  /** As the manifest names it. */
  readonly file: string;
  /** Its real path. */
  readonly modelPath: string;
  readonly tell: TellFile;
}
