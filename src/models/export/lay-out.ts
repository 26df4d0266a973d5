import { readFile } from 'node:fs/promises';
import { type ArtifactStore, placeOf } from '../../inference/artifact-store.ts';
import { readBundle } from '../../inference/bundle.ts';
import { nameElsewhere } from '../../inference/variant.ts';
import { OperatorError } from '../../lib/errors.ts';
import type { Fault } from '../manifest-error.ts';
import { describeGraph, type GraphTensor } from '../onnx/describe.ts';
import { readModel } from '../onnx/model-file.ts';
import type { StoredVariant } from '../served-model.ts';
import { readSignature } from '../tensorflow/read-saved-model.ts';
import type { ExportedFile, ExportedVersion } from './model-folder.ts';
import { type TritonTensor, tritonConfig } from './triton-config.ts';

/** Whose layout of a model repository is written. */
export type ExportTarget = 'triton' | 'tfserving';

/** What of a variant goes where. Throws OperatorError where it cannot go there, or a file of it is missing. */
export async function layOut(
  variant: StoredVariant,
  target: ExportTarget,
  artifacts: ArtifactStore,
): Promise<ExportedVersion> {
  const { format, artifactSha256, externalData } = variant;
  const { name, version } = nameElsewhere(variant);
  const refuse = (reason: string) => new OperatorError(`${name} (${format}) cannot be exported: ${reason}`);
  for (const sha256 of [artifactSha256, ...externalData]) {
    if (!(await artifacts.has(sha256)))
      throw refuse(`a file of it is missing or damaged in ${artifacts.dir}. Import the model again.`);
  }
  if (format === 'onnx') {
    if (target === 'tfserving')
      throw refuse('TensorFlow Serving runs SavedModels alone. Export it with --triton.');
    return { name, version, ...(await onnxForTriton(variant, artifacts)) };
  }
  if (format !== 'saved-model') throw refuse('neither server runs the formats of TensorFlow.js.');
  const files = await savedModelFiles(variant, artifacts);
  if (target === 'tfserving') return { name, version, files, shared: {} };
  return { name, version, ...(await savedModelForTriton(variant, files)) };
}

type Content = Pick<ExportedVersion, 'files' | 'shared'>;

/** The stored graph takes pixels as they are, and looks for its weights beside itself. */
async function onnxForTriton(variant: StoredVariant, artifacts: ArtifactStore): Promise<Content> {
  const { artifactSha256, externalData, maxBatch } = variant;
  const stored = (sha256: string): ExportedFile => ({ path: artifacts.path(sha256), sha256 });
  const { inputs, outputs } = describeGraph(readModel(await readFile(artifacts.path(artifactSha256))));
  const config = tritonConfig({
    ...{ name: nameElsewhere(variant).name, maxBatch, runBy: { backend: 'onnxruntime' } },
    ...{ inputs: inputs.flatMap(tensorOf), outputs: outputs.flatMap(tensorOf) },
  });
  const weights = externalData.map((sha256) => [placeOf(sha256), stored(sha256)] as const);
  return {
    files: { 'model.onnx': stored(artifactSha256), ...Object.fromEntries(weights) },
    shared: { 'config.pbtxt': config },
  };
}

/** As its exporter wrote it: pixels are prepared by whoever asks. */
async function savedModelForTriton(
  variant: StoredVariant,
  files: ExportedVersion['files'],
): Promise<Content> {
  const faults: Fault[] = [];
  const signature = readSignature(await readFile(files['saved_model.pb']!.path), faults);
  if (signature === null) throw new OperatorError(`It cannot be exported: ${faults[0]?.found}.`);
  const { inputs, outputs } = signature;
  const config = tritonConfig({
    ...{ name: nameElsewhere(variant).name, maxBatch: variant.maxBatch },
    ...{ runBy: { platform: 'tensorflow_savedmodel' } },
    ...{ inputs: inputs.flatMap(tensorOf), outputs: outputs.flatMap(tensorOf) },
  });
  const placed = Object.entries(files).map(([place, file]) => [`model.savedmodel/${place}`, file] as const);
  return { files: Object.fromEntries(placed), shared: { 'config.pbtxt': config } };
}

async function savedModelFiles(
  variant: StoredVariant,
  artifacts: ArtifactStore,
): Promise<ExportedVersion['files']> {
  const { files } = readBundle(await readFile(artifacts.path(variant.artifactSha256)));
  const stored = Object.entries(files).map(
    ([place, sha256]) => [place, { path: artifacts.path(sha256), sha256 }] as const,
  );
  return Object.fromEntries(stored);
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
  HALF: 'TYPE_FP16',
  BFLOAT16: 'TYPE_BF16',
  FLOAT: 'TYPE_FP32',
  DOUBLE: 'TYPE_FP64',
  STRING: 'TYPE_STRING',
};

/** None of a tensor whose rank is not declared: Triton then asks the model. */
function tensorOf({ name, type, shape }: GraphTensor): TritonTensor[] {
  const dataType = dataTypes[type ?? ''];
  if (dataType === undefined || shape === null) return [];
  return [{ name, dataType, shape: shape.map((length) => (typeof length === 'number' ? length : -1)) }];
}
