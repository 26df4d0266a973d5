import type { ArtifactStore } from '../../inference/artifact-store.ts';
import type { ServedModel, StoredVariant } from '../served-model.ts';
import { type ExportTarget, layOut } from './lay-out.ts';
import { type ExportedVersion, writeVersion } from './model-folder.ts';

/** A variant as it was written. */
export interface Exported {
  readonly compression: string;
  /** What the other server calls it, and its version there. */
  readonly name: string;
  readonly version: number;
  /** false: it was there before. */
  readonly written: boolean;
}

/**
 * Writes every variant of a model into a repository of another server's, under the name by which Fovea asks that server for
 * it. Throws OperatorError where a variant cannot be exported or something else is there; nothing is written then but
 * variants before it.
 */
export async function exportModel(
  model: ServedModel,
  { target, repository, artifacts }: { target: ExportTarget; repository: string; artifacts: ArtifactStore },
): Promise<Exported[]> {
  const versions: [StoredVariant, ExportedVersion][] = [];
  for (const variant of model.variants) versions.push([variant, await layOut(variant, target, artifacts)]);
  const exported: Exported[] = [];
  for (const [{ compression }, version] of versions) {
    const written = await writeVersion(repository, version);
    exported.push({ compression, name: version.name, version: version.version, written });
  }
  return exported;
}
