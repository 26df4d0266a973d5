import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { announce } from '../db/changes.ts';
import type { Database, Transaction } from '../db/database.ts';
import { OperatorError } from '../lib/errors.ts';
import type { Lifetime } from '../lib/lifetime.ts';
import type { Logger } from '../lib/logger.ts';
import type { ArtifactStore } from './artifact-store.ts';
import { fitGraph } from './fit-graph.ts';
import { fitOutput } from './fit-output.ts';
import { judgeAnswers } from './judge-answers.ts';
import { parseLabels } from './labels.ts';
import { type Fault, ManifestError } from './manifest-error.ts';
import { type OnnxModel, readModel } from './onnx/model-file.ts';
import { proveServed, runOriginal } from './prove.ts';
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
 * Imports the model that a manifest describes: holds the manifest against the graph and what it answers, puts pre-processing
 * into the graph, proves the result equal to the original, stores it, and makes this version the live one. The same version with the same
 * content is left as it is, but for artefacts that the store has lost: those are made again. Throws a `ManifestError` with
 * every reason not to; the registry is as it was then.
 */
export async function importModel(manifestPath: string, options: ImportOptions): Promise<ServedModel> {
  const { database, tenantId, artifacts, logger } = options;
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
  const proven = await proveCandidate(manifestPath, candidate, options);
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
  { lifetime, logger }: ImportOptions,
): Promise<ProvenGraph> {
  const faults: Fault[] = [];
  const refuse = () => new ManifestError(manifestPath, faults);
  const model = readGraph(file, faults);
  const fit = model && fitGraph(manifest.input, model, faults);
  if (!model || !fit) throw refuse();

  const original = await runOriginal(file, fit, faults, lifetime);
  if (original === null) throw refuse();
  const { width, height } = manifest.input;
  const head = fitOutput(manifest.output, { answers: original.pictures, width, height, labels }, faults);
  if (head === null) throw refuse();
  judgeAnswers(model.graph, fit.input.name, head, original, faults);
  if (faults.length > 0) throw refuse();

  const served = await proveServed(file, fit, head, original.pictures, faults, lifetime);
  if (served === null) throw refuse();
  const { graph, inputTensor, maxBatch, oneByOne } = served;
  if (oneByOne !== null)
    logger.info({ model: manifest.name, reason: oneByOne }, 'served one picture at a time');
  return { graph, externalData: [], inputTensor, output: head.output, maxBatch, labels: head.labels };
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
