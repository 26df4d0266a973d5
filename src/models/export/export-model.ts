import { readFile } from 'node:fs/promises';
import { type ArtifactStore, placeOf } from '../../inference/artifact-store.ts';
import { OperatorError } from '../../lib/errors.ts';
import { describeGraph, type GraphTensor } from '../onnx/describe.ts';
import { readModel } from '../onnx/model-file.ts';
import type { ServedModel, StoredVariant } from '../served-model.ts';
import { type ExportedFile, type ExportedVersion, writeVersion } from './model-folder.ts';
import { type TritonTensor, tritonConfig } from './triton-config.ts';

/** Whose layout of a model repository is written. */
export type ExportTarget = 'triton' | 'tfserving';

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

/**
 * What Fovea asks for: a public model by its name. A tenant's own goes by its key, since others may have a model of that
 * name; a key is one version's.
 */
function nameThere({ publicName, key }: StoredVariant): { name: string; version: number } {
  return publicName ?? { name: key, version: 1 };
}

async function layOut(
  variant: StoredVariant,
  target: ExportTarget,
  artifacts: ArtifactStore,
): Promise<ExportedVersion> {
  const { format, publicName, key } = variant;
  const title = `${publicName?.name ?? key} (${format})`;
  for (const sha256 of [variant.artifactSha256, ...variant.externalData]) {
    if (!(await artifacts.has(sha256)))
      throw new OperatorError(
        `${title} cannot be exported: a file of it is missing or damaged in ${artifacts.dir}. Import the model again.`,
      );
  }
  if (target === 'tfserving') {
    throw new OperatorError(
      `${title} cannot be exported for TensorFlow Serving, which runs SavedModels alone. ` +
        (format === 'onnx' ? 'Export it with --triton.' : ''),
    );
  }
  if (format !== 'onnx') throw new OperatorError(`${title} cannot be exported: only ONNX can.`);
  return onnxForTriton(variant, artifacts);
}

async function onnxForTriton(variant: StoredVariant, artifacts: ArtifactStore): Promise<ExportedVersion> {
  const { name, version } = nameThere(variant);
  const { artifactSha256, externalData, maxBatch } = variant;
  const stored = (sha256: string): ExportedFile => ({ path: artifacts.path(sha256), sha256 });
  const { inputs, outputs } = describeGraph(readModel(await readFile(artifacts.path(artifactSha256))));
  const config = tritonConfig({
    ...{ name, maxBatch, runBy: { backend: 'onnxruntime' } },
    inputs: inputs.flatMap(tensorOf),
    outputs: outputs.flatMap(tensorOf),
  });
  return {
    ...{ name, version },
    files: {
      'model.onnx': stored(artifactSha256),
      // By the names that the graph has for them.
      ...Object.fromEntries(externalData.map((sha256) => [placeOf(sha256), stored(sha256)])),
    },
    shared: { 'config.pbtxt': config },
  };
}

const dataTypes: Readonly<Record<string, string>> = {
  BOOL: 'TYPE_BOOL',
  UINT8: 'TYPE_UINT8',
  UINT16: 'TYPE_UINT16',
  UINT32: 'TYPE_UINT32',
  UINT64: 'TYPE_UINT64',
  INT8: 'TYPE_INT8',
  INT16: 'TYPE_INT16',
  INT32: 'TYPE_INT32',
  INT64: 'TYPE_INT64',
  FLOAT16: 'TYPE_FP16',
  BFLOAT16: 'TYPE_BF16',
  FLOAT: 'TYPE_FP32',
  DOUBLE: 'TYPE_FP64',
  STRING: 'TYPE_STRING',
};

/** None of a tensor whose rank is not declared: Triton then asks the graph. */
function tensorOf({ name, type, shape }: GraphTensor): TritonTensor[] {
  const dataType = dataTypes[type ?? ''];
  if (dataType === undefined || shape === null) return [];
  return [{ name, dataType, shape: shape.map((length) => (typeof length === 'number' ? length : -1)) }];
}
