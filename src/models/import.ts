import { readFile } from 'node:fs/promises';
import { announce } from '../db/changes.ts';
import type { Database, Transaction } from '../db/database.ts';
import type { ArtifactStore } from '../inference/artifact-store.ts';
import { OperatorError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { fitOutput } from './fit-output.ts';
import { judgeAnswers } from './judge-answers.ts';
import { parseLabels } from './labels.ts';
import { type Fault, ManifestError } from './manifest-error.ts';
import { type ModelOnTrial, proveServed, runOriginal } from './prove.ts';
import { readManifest } from './read-manifest.ts';
import { readSource } from './read-source.ts';
import { type ModelRow, type ServedModel, servedModel } from './served-model.ts';
import type { SourceModel } from './source-model.ts';
import type { Trials } from './trials.ts';
import { type Candidate, findVersion, insertVersion, makeLive, type ProvenGraph } from './version-rows.ts';

export interface ImportOptions {
  /** Whose the model is; null: everybody's. */
  readonly tenantId: string | null;
  readonly database: Database;
  /** What the model is tried in. */
  readonly trials: Trials;
  readonly logger: Logger;
  /**
   * Called before the version goes live: until it settles, the one before answers, and where it throws it goes on to. At once
   * where it is left out.
   */
  readonly rollOut?: (model: ServedModel) => Promise<void>;
  /** Told what the import is at: a large model takes its time. */
  readonly tell?: (step: string) => void;
}

/** A candidate with what is to be proven and stored of it. */
interface ReadCandidate extends Candidate {
  readonly source: SourceModel;
}

/**
 * Imports the model that a manifest describes: holds the manifest against the graph and what it answers, puts pre-processing
 * into the graph, proves the result equal to the original, stores it, and makes this version the live one. The same version with the same
 * content is left as it is, but for artefacts that the store has lost, which are made again, and for one that was stored and did
 * not go live, which now does. Throws a `ManifestError` with every reason not to; the registry is as it was then.
 */
export async function importModel(manifestPath: string, options: ImportOptions): Promise<ServedModel> {
  const { database, tenantId, trials, logger, rollOut = async () => {}, tell = () => {} } = options;
  const { artifacts } = trials;
  const candidate = await readCandidate(manifestPath, tell);
  const { name, version } = candidate.manifest;
  const transact = <T>(work: (tx: Transaction) => Promise<T>) =>
    tenantId === null ? database.asOperator(work) : database.asTenant(tenantId, work);
  const present = (tx: Transaction) => findVersion(tx, tenantId, candidate, manifestPath);
  // Two imports of one name go one after the other: either could be the one that stays live.
  const lockName = (tx: Transaction) =>
    tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`model ${tenantId} ${name}`}, 0))`;
  const goLive = async (row: ModelRow): Promise<ServedModel> => {
    const model = servedModel(row);
    await rollOut(model);
    await transact(async (tx) => {
      await lockName(tx);
      if (await makeLive(tx, row)) await announce(tx, `model:${row.id}`);
    });
    return model;
  };

  const before = await transact(present);
  if (before && (await areStored(before, artifacts))) {
    logger.info({ model: `${name}@${version}` }, 'this model is imported already; nothing was changed');
    return goLive(before);
  }
  const { externalData, source } = candidate;
  const { files } = source;
  const store = await trials.store();
  for (const { path, sha256 } of files.values()) {
    tell(`copying ${path}`);
    await store.putFile(path, sha256);
  }
  const trial = { trials, format: source.format, externalData, tell };
  const proven = await proveCandidate(manifestPath, candidate, trial, logger);
  tell('storing the model');
  const artifactSha256 = await store.put(proven.artifact);
  const sizeBytes = [...files.values()].reduce((sum, { bytes }) => sum + bytes, proven.artifact.length);
  const missing = await missingOf([artifactSha256, ...externalData], artifacts);
  const row = await transact(async (tx) => {
    await lockName(tx);
    const known = await present(tx);
    const stored =
      known ?? (await insertVersion(tx, tenantId, candidate, { ...proven, artifactSha256, sizeBytes }));
    if (!known) await announce(tx, `model:${stored.id}`);
    // Last, and only what the row names: where the row cannot be written, no file is left that none names.
    const named = artifactsOf(stored);
    for (const sha256 of missing) if (named.includes(sha256)) await artifacts.take(store, sha256);
    return stored;
  });
  if (!(await areStored(row, artifacts))) {
    throw new OperatorError(
      `${name}@${version} is known, but a file of it is missing in ${artifacts.dir}, and importing it makes another one. ` +
        'Restore that folder, or import the model as a new version.',
    );
  }
  logger.info(
    { model: `${name}@${version}`, id: row.id, sha256: row.variants[0]?.artifactSha256 },
    'model imported',
  );
  return goLive(row);
}

function artifactsOf({ variants }: ModelRow): string[] {
  return variants.flatMap(({ artifactSha256, externalData }) => [artifactSha256, ...externalData]);
}

async function areStored(row: ModelRow, artifacts: ArtifactStore): Promise<boolean> {
  return (await missingOf(artifactsOf(row), artifacts)).length === 0;
}

async function missingOf(files: readonly string[], artifacts: ArtifactStore): Promise<string[]> {
  const stored = await Promise.all(files.map((sha256) => artifacts.has(sha256)));
  return files.filter((_, index) => !stored[index]);
}

async function readCandidate(manifestPath: string, tell: (step: string) => void): Promise<ReadCandidate> {
  const { manifest, modelPath, labelsPath } = await readManifest(manifestPath);
  const { format, file } = manifest;
  const faults: Fault[] = [];
  const labels = parseLabels(await readFile(labelsPath), faults);
  const hashing = (path: string) => tell(`hashing ${path}`);
  const source = await readSource(format, { manifestPath, file, modelPath, tell: hashing }, faults);
  if (source && manifest.sha256 !== undefined && manifest.sha256 !== source.sha256) {
    faults.push({
      path: 'sha256',
      found: manifest.sha256,
      wanted: `${source.sha256}, the SHA-256 of ${file}`,
    });
  }
  if (!source || faults.length > 0) throw new ManifestError(manifestPath, faults);
  const { sha256, files } = source;
  return { manifest: { ...manifest, sha256 }, labels, externalData: [...files.keys()], source };
}

async function proveCandidate(
  manifestPath: string,
  { manifest, labels, source }: ReadCandidate,
  trial: ModelOnTrial,
  logger: Logger,
): Promise<ProvenGraph> {
  const faults: Fault[] = [];
  const refuse = () => new ManifestError(manifestPath, faults);
  const fit = source.fitInput(manifest.input, faults);
  if (!fit) throw refuse();

  const original = await runOriginal(source, fit, faults, trial);
  if (original === null) throw refuse();
  const { width, height } = manifest.input;
  const head = fitOutput(manifest.output, { answers: original.pictures, width, height, labels }, faults);
  if (head === null) throw refuse();
  judgeAnswers(source, fit.input.name, head, original, faults);
  if (faults.length > 0) throw refuse();

  const served = await proveServed(source, fit, head, original.pictures, faults, trial);
  if (served === null) throw refuse();
  const { artifact, inputTensor, maxBatch, oneByOne } = served;
  if (oneByOne !== null)
    logger.info({ model: manifest.name, reason: oneByOne }, 'served one picture at a time');
  return {
    ...{ artifact, inputTensor, output: head.output, maxBatch, labels: head.labels },
    preprocessing: fit.preprocessing,
  };
}
