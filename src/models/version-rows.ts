import { isDeepStrictEqual } from 'node:util';
import { v7 as uuidv7 } from 'uuid';
import type { Transaction } from '../db/database.ts';
import type { Prisma } from '../db/generated/client.ts';
import type { Preprocessing } from '../inference/preprocessing.ts';
import type { VariantOutput } from '../inference/variant.ts';
import { labelColumns } from './labels.ts';
import { type Manifest, manifestSchema } from './manifest.ts';
import { ManifestError } from './manifest-error.ts';
import type { ModelRow } from './served-model.ts';

/** A manifest and what tells the files it names from others. */
export interface Candidate {
  /** With the file's sha256. */
  readonly manifest: Manifest;
  readonly labels: readonly string[];
  /** SHA-256 of each file of weights that the graph points to. */
  readonly externalData: readonly string[];
}

/** What will be served of a candidate, shown to work. */
export interface ProvenGraph {
  readonly artifact: Uint8Array;
  readonly preprocessing: Preprocessing;
  readonly inputTensor: string;
  readonly output: VariantOutput;
  readonly maxBatch: number;
  /** One a column. */
  readonly labels: readonly string[];
}

/** The row of this very version, or null. Throws a `ManifestError` where the version is taken by other content. */
export async function findVersion(
  tx: Transaction,
  tenantId: string | null,
  { manifest, labels, externalData }: Candidate,
  manifestPath: string,
): Promise<ModelRow | null> {
  const { name, version } = manifest;
  const row = await tx.model.findFirst({ where: { tenantId, name, version }, include: { variants: true } });
  if (row === null) return null;
  const background = 'background' in manifest.output ? manifest.output.background : null;
  const columns = { columns: row.labels.length, background };
  const sameLabels = isDeepStrictEqual(row.labels, labelColumns(labels, columns, []));
  const uncompressed = row.variants.find(({ compression }) => compression === 'NONE');
  const sameWeights = isDeepStrictEqual(uncompressed?.externalData, externalData);
  const sameManifest = isDeepStrictEqual(content(manifestSchema.parse(row.manifest)), content(manifest));
  if (sameLabels && sameWeights && sameManifest) return row;
  const found = `${version}, which '${name}' has already with other content`;
  throw new ManifestError(manifestPath, [{ path: 'version', found, wanted: 'a version that is not taken' }]);
}

/** What makes two manifests the same: where their files lay does not matter, what was in them does. */
function content({ file: _file, labels: _labels, ...rest }: Manifest): unknown {
  return rest;
}

/** Stores a version with its one uncompressed variant. It is not live yet. */
export async function insertVersion(
  tx: Transaction,
  tenantId: string | null,
  { manifest, externalData }: Candidate,
  proven: ProvenGraph & { readonly artifactSha256: string; readonly sizeBytes: number },
): Promise<ModelRow> {
  const {
    name,
    version,
    task,
    license = null,
    description = null,
    unitsPerImage,
    maxQueueDelayMs,
  } = manifest;
  const { width, height, fit, resizeShort, align, pad } = manifest.input;
  const id = uuidv7();
  await tx.model.create({
    data: {
      id,
      tenantId,
      name,
      version,
      task,
      manifest,
      labels: [...proven.labels],
      license,
      description,
      inputWidth: width,
      inputHeight: height,
      isLive: false,
    },
  });
  await tx.modelVariant.create({
    data: {
      id: uuidv7(),
      modelId: id,
      tenantId,
      compression: 'NONE',
      format: manifest.format,
      preprocessing: proven.preprocessing as unknown as Prisma.InputJsonObject,
      artifactSha256: proven.artifactSha256,
      externalData: [...externalData],
      sizeBytes: proven.sizeBytes,
      input: { tensor: proven.inputTensor, width, height, fit, resizeShort, align, pad },
      output: proven.output as unknown as Prisma.InputJsonObject,
      maxBatch: proven.maxBatch,
      unitsPerImage,
      maxQueueDelayMs,
    },
  });
  return tx.model.findUniqueOrThrow({ where: { id }, include: { variants: true } });
}

/** Makes a stored version the live one of its name, unless one went live that was stored later. Answers whether that changed anything. */
export async function makeLive(
  tx: Transaction,
  { id, tenantId, name, createdAt }: ModelRow,
): Promise<boolean> {
  const live = await tx.model.findFirst({ where: { tenantId, name, isLive: true } });
  if (live && (live.id === id || live.createdAt > createdAt)) return false;
  await tx.model.updateMany({ where: { tenantId, name, isLive: true }, data: { isLive: false } });
  await tx.model.update({ where: { id }, data: { isLive: true } });
  return true;
}
