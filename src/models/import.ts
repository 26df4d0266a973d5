import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { announce } from '../db/changes.ts';
import type { Database, Transaction } from '../db/database.ts';
import { OperatorError } from '../lib/errors.ts';
import type { Lifetime } from '../lib/lifetime.ts';
import type { Logger } from '../lib/logger.ts';
import type { ArtifactStore } from './artifact-store.ts';
import { fitGraph } from './fit-graph.ts';
import { labelColumns, parseLabels } from './labels.ts';
import { type Fault, ManifestError } from './manifest-error.ts';
import { type OnnxModel, readModel, writeModel } from './onnx/model-file.ts';
import { wrapInput } from './onnx/wrap-input.ts';
import { proveEqual } from './prove.ts';
import { readManifest } from './read-manifest.ts';
import { type ModelRow, type ServedModel, servedModel } from './served-model.ts';
import { type Candidate, findVersion, insertVersion, type ProvenGraph } from './version-rows.ts';

export interface ImportOptions {
  /** Whose the model is; null: everybody's. */
  readonly tenantId: string | null;
  readonly database: Database;
  readonly artifacts: ArtifactStore;
  readonly logger: Logger;
  /** Ends the process that the model is tried in, where it ends meanwhile. */
  readonly lifetime?: Pick<Lifetime, 'own'>;
}

/**
 * Imports the model that a manifest describes: holds the manifest against the graph, puts pre-processing into the graph,
 * proves the result equal to the original, stores it, and makes this version the live one. The same version with the same
 * content is left as it is, but for artefacts that the store has lost: those are made again. Throws a `ManifestError` with
 * every reason not to; the registry is as it was then.
 */
export async function importModel(manifestPath: string, options: ImportOptions): Promise<ServedModel> {
  const { database, tenantId, artifacts, logger, lifetime } = options;
  const candidate = await readCandidate(manifestPath);
  const { name, version } = candidate.manifest;
  const transact = <T>(work: (tx: Transaction) => Promise<T>) =>
    tenantId === null ? database.asOperator(work) : database.asTenant(tenantId, work);
  const present = (tx: Transaction) => findVersion(tx, tenantId, candidate, manifestPath);

  const before = await transact(present);
  if (before && (await areStored(before, artifacts))) {
    logger.info({ model: `${name}@${version}` }, 'this model is imported already; nothing was changed');
    return servedModel(before);
  }
  const proven = await proveCandidate(manifestPath, candidate, lifetime);
  const artifactSha256 = await artifacts.put(proven.graph);
  const row = await transact(async (tx) => {
    // Two imports of one name go one after the other: either could be the one that stays live.
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`model ${tenantId} ${name}`}, 0))`;
    const known = await present(tx);
    if (known) return known;
    const stored = await insertVersion(tx, tenantId, candidate.manifest, { ...proven, artifactSha256 });
    await announce(tx, `model:${stored.id}`);
    return stored;
  });
  if (!(await areStored(row, artifacts))) {
    throw new OperatorError(
      `${name}@${version} is known, but a file of it is missing in ${artifacts.dir}, and importing it makes another one. ` +
        'Restore that folder, or import the model as a new version.',
    );
  }
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

async function proveCandidate(
  manifestPath: string,
  { manifest, labels, file }: Candidate,
  lifetime: ImportOptions['lifetime'],
): Promise<ProvenGraph> {
  const faults: Fault[] = [];
  const { kind, background } = manifest.output;
  const model = readGraph(file, faults);
  const fit = model && fitGraph(manifest, labels, model, faults);
  if (!model || !fit || faults.length > 0) throw new ManifestError(manifestPath, faults);

  const tensor = wrapInput(model, fit.input, fit.preprocessing);
  const graph = tensor === fit.input.name ? file : writeModel(model);
  const columns = await proveEqual(
    { original: file, served: graph, servedInput: tensor },
    fit,
    kind,
    faults,
    lifetime,
  );
  // A graph need not declare how many classes it has: now it has shown it.
  const perColumn = columns === null ? [] : labelColumns(labels, { columns, background }, faults);
  if (faults.length > 0) throw new ManifestError(manifestPath, faults);
  return {
    graph,
    inputTensor: tensor,
    outputTensor: fit.output.name,
    maxBatch: fit.maxBatch,
    labels: perColumn,
  };
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
