import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { v7 as uuidv7 } from 'uuid';
import type { Database, Transaction } from '../db/database.ts';
import type { Notifications } from '../db/notifications.ts';
import { OperatorError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { ArtifactStore } from './artifact-store.ts';
import { type Fit, fitGraph } from './fit-graph.ts';
import { labelColumns, parseLabels } from './labels.ts';
import { type ClassifyManifest, type Manifest, manifestSchema } from './manifest.ts';
import { type Fault, ManifestError } from './manifest-error.ts';
import { type OnnxModel, readModel, writeModel } from './onnx/model-file.ts';
import { wrapInput } from './onnx/wrap-input.ts';
import { MAX_BATCH, proveEqual } from './prove.ts';
import { readManifest } from './read-manifest.ts';
import { type ModelRow, type ServedModel, servedModel } from './served-model.ts';

export interface ImportOptions {
  /** Whose the model is; null: everybody's. */
  readonly tenantId: string | null;
  readonly database: Database;
  readonly notifications: Pick<Notifications, 'publish'>;
  readonly artifacts: ArtifactStore;
  readonly logger: Logger;
}

/** A manifest and the files it names, as they are kept. */
interface Candidate {
  /** With the file's sha256. */
  readonly manifest: ClassifyManifest;
  readonly labels: readonly string[];
  readonly file: Uint8Array;
}

/** A candidate that was shown to work. */
interface Proven {
  readonly fit: Fit;
  readonly graph: Uint8Array;
  readonly tensor: string;
  /** One a column. */
  readonly labels: readonly string[];
}

interface Stored extends Proven {
  readonly artifactSha256: string;
  readonly sizeBytes: number;
}

/**
 * Imports the model that a manifest describes: holds the manifest against the graph, puts pre-processing into the graph,
 * proves the result equal to the original, stores it, and makes this version the live one. The same version with the same
 * content is left as it is, but for artefacts that the store has lost: those are made again. Throws a `ManifestError` with every reason not to; nothing is stored then.
 */
export async function importModel(manifestPath: string, options: ImportOptions): Promise<ServedModel> {
  const { database, tenantId, notifications, artifacts, logger } = options;
  const candidate = await readCandidate(manifestPath);
  const { name, version } = candidate.manifest;
  const transact = <T>(work: (tx: Transaction) => Promise<T>) =>
    tenantId === null ? database.asOperator(work) : database.asTenant(tenantId, work);
  const present = (tx: Transaction) => findSame(tx, tenantId, candidate, manifestPath);

  const before = await transact(present);
  if (before && (await areStored(before, artifacts))) {
    logger.info({ model: `${name}@${version}` }, 'this model is imported already; nothing was changed');
    return servedModel(before);
  }
  const proven = await proveCandidate(manifestPath, candidate);
  const artifactSha256 = await artifacts.put(proven.graph);
  const stored = { ...proven, artifactSha256, sizeBytes: proven.graph.length };
  const row = await transact(async (tx) => {
    // Two imports of one name go one after the other: either could be the one that stays live.
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`model ${tenantId} ${name}`}, 0))`;
    return (await present(tx)) ?? insert(tx, tenantId, candidate.manifest, stored);
  });
  if (!(await areStored(row, artifacts))) {
    throw new OperatorError(
      `${name}@${version} is known, but a file of it is missing in ${artifacts.dir}, and importing it makes another one. ` +
        'Restore that folder, or import the model as a new version.',
    );
  }
  await notifications.publish('fovea_changed', `model:${row.id}`);
  logger.info({ model: `${name}@${version}`, id: row.id, sha256: artifactSha256 }, 'model imported');
  return servedModel(row);
}

async function areStored({ variants }: ModelRow, artifacts: ArtifactStore): Promise<boolean> {
  const stored = await Promise.all(variants.map(({ artifactSha256 }) => artifacts.has(artifactSha256)));
  return stored.every(Boolean);
}

async function readCandidate(manifestPath: string): Promise<Candidate> {
  const { manifest, modelPath, labelsPath } = await readManifest(manifestPath);
  const faults: Fault[] = [];
  const labels = parseLabels(await readFile(labelsPath), faults);
  const file = await readFile(modelPath);
  const sha256 = createHash('sha256').update(file).digest('hex');
  if (manifest.sha256 !== undefined && manifest.sha256 !== sha256) {
    faults.push({
      path: 'sha256',
      found: manifest.sha256,
      wanted: `${sha256}, the SHA-256 of ${manifest.file}`,
    });
  }
  if (faults.length > 0) throw new ManifestError(manifestPath, faults);
  return { manifest: { ...manifest, sha256 }, labels, file };
}

async function proveCandidate(manifestPath: string, { manifest, labels, file }: Candidate): Promise<Proven> {
  const faults: Fault[] = [];
  const { kind, background } = manifest.output;
  const model = readGraph(file, faults);
  const fit = model && fitGraph(manifest, labels, model, faults);
  if (!model || !fit || faults.length > 0) throw new ManifestError(manifestPath, faults);

  const tensor = wrapInput(model, fit.input, fit.preprocessing);
  const graph = tensor === fit.input.name ? file : writeModel(model);
  const columns = await proveEqual({ original: file, served: graph, servedInput: tensor }, fit, kind, faults);
  // A graph need not declare how many classes it has: now it has shown it.
  const perColumn = columns === null ? [] : labelColumns(labels, { columns, background }, faults);
  if (faults.length > 0) throw new ManifestError(manifestPath, faults);
  return { fit, graph, tensor, labels: perColumn };
}

function readGraph(file: Uint8Array, faults: Fault[]): OnnxModel | null {
  try {
    return readModel(file);
  } catch (error) {
    faults.push({
      path: 'file',
      found: error instanceof Error ? error.message : String(error),
      wanted: 'an ONNX model',
    });
    return null;
  }
}

/** The row of this very version, or null. Throws a `ManifestError` where the version is taken by other content. */
async function findSame(
  tx: Transaction,
  tenantId: string | null,
  { manifest, labels }: Candidate,
  manifestPath: string,
): Promise<ModelRow | null> {
  const { name, version } = manifest;
  const row = await tx.model.findFirst({ where: { tenantId, name, version }, include: { variants: true } });
  if (row === null) return null;
  const columns = { columns: row.labels.length, background: manifest.output.background };
  const sameLabels = isDeepStrictEqual(row.labels, labelColumns(labels, columns, []));
  if (sameLabels && isDeepStrictEqual(content(manifestSchema.parse(row.manifest)), content(manifest)))
    return row;
  const found = `${version}, which '${name}' has already with other content`;
  throw new ManifestError(manifestPath, [{ path: 'version', found, wanted: 'a version that is not taken' }]);
}

/** What makes two manifests the same: where their files lay does not matter, what was in them does. */
function content({ file: _file, labels: _labels, ...rest }: Manifest): unknown {
  return rest;
}

async function insert(
  tx: Transaction,
  tenantId: string | null,
  manifest: ClassifyManifest,
  { fit, tensor, labels, sizeBytes, artifactSha256 }: Stored,
): Promise<ModelRow> {
  const { name, version, task, license = null, description = null, unitsPerImage } = manifest;
  const { width, height, fit: resize, resizeShort, align, pad } = manifest.input;
  await tx.model.updateMany({ where: { tenantId, name, isLive: true }, data: { isLive: false } });
  const { id } = await tx.model.create({
    data: {
      ...{ id: uuidv7(), tenantId, name, version, task, manifest, labels: [...labels], license, description },
      ...{ inputWidth: width, inputHeight: height, isLive: true },
    },
  });
  await tx.modelVariant.create({
    data: {
      ...{
        id: uuidv7(),
        modelId: id,
        tenantId,
        compression: 'NONE',
        artifactSha256,
        sizeBytes,
        unitsPerImage,
      },
      input: { tensor, width, height, fit: resize, resizeShort, align, pad },
      output: { kind: manifest.output.kind, tensor: fit.output.name, background: manifest.output.background },
      maxBatch: fit.dynamicBatch ? MAX_BATCH : 1,
    },
  });
  return tx.model.findUniqueOrThrow({ where: { id }, include: { variants: true } });
}
