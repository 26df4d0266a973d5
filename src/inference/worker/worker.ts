import { mkdir } from 'node:fs/promises';
import { OperatorError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { type Repeating, repeat } from '../../lib/repeating.ts';
import { noTracer, type Tracer } from '../../lib/tracing/tracer.ts';
import { ArtifactStore } from '../artifact-store.ts';
import { MAX_BODY_BYTES } from '../oip/limits.ts';
import { type Compute, onCpu } from '../providers/provider.ts';
import { AttentiveClock } from './attentive-clock.ts';
import type { Engines } from './engine.ts';
import type { TensorFlowChoice } from './engines/tensorflow/runtime.ts';
import { Uploads } from './http/artifact-transfer.ts';
import { type AdmissionLimits, RequestAdmission } from './http/request-admission.ts';
import { answer } from './http/routes.ts';
import type { Served } from './http/served.ts';
import { createWorkerServer, type ServerOptions } from './http/server.ts';
import { listen } from './listen.ts';
import { defaultBudget, MemoryBudget } from './memory-budget.ts';
import { WorkerModels } from './models.ts';
import { createMetrics } from './prometheus.ts';
import { ThreadedEngines } from './threaded-engines.ts';
import { UpstreamModels, type UpstreamOptions } from './upstream/upstream-models.ts';

export interface WorkerOptions {
  /** `unix:<path>` or `<host>:<port>`. Without a token, the place must be reachable by API processes alone. */
  readonly listen: string;
  /** The artefact store's folder; made where it is missing. */
  readonly artifacts: string;
  /** Threads one inference computes with. */
  readonly threads: number;
  /** The CPU unless told otherwise. */
  readonly compute?: Compute;
  /** As the setting FOVEA_TENSORFLOW has it; auto. */
  readonly tensorFlow?: TensorFlowChoice;
  /** What every request must carry but those that ask whether the process lives. None where it is left out. */
  readonly token?: string | null;
  /** Plain HTTP where it is left out. */
  readonly tls?: ServerOptions['tls'];
  /** None where it is left out. Its end is its owner's. */
  readonly tracer?: Tracer;
  /** Bytes of one request; 64 MiB. */
  readonly maxBodyBytes?: number;
  /** Before another server, which then has all the models: what is said of artefacts and engines is of no use. */
  readonly upstream?: UpstreamOptions | null;
  /** Resident memory of the process, bytes; half of the machine's. */
  readonly memoryBytes?: number;
  /** What inference requests may take at once; 512 of them and their share of the memory, 512 MiB at most. */
  readonly admission?: AdmissionLimits;
  /** Bytes of one artefact that is brought over the wire; 32 GiB. */
  readonly maxArtifactBytes?: number;
}

interface Overrides {
  readonly engines?: Engines;
  readonly clock?: AttentiveClock;
  readonly lookMs?: number;
}

export interface RunningWorker {
  /** `unix:<path>`, `http://<host>:<port>` or `https://…`. */
  readonly address: string;
  /** Whether an engine is at work: the process can be killed then, and not exit. */
  readonly isComputing: boolean;
  /** Takes no more requests, answers those it has, frees the models. */
  close(): Promise<void>;
}

const MOST_REQUESTS = 512;
const MOST_UPLOADS = 8;
const SWEEP_MS = 60 * 60_000;
/** Between two looks at how much memory is taken. */
const LOOK_MS = 5_000;

/**
 * Starts a worker that holds no model yet. Throws OperatorError where it cannot listen or has no place for artefacts.
 * `overrides`: engines, a clock, and the time between two looks at the memory, in place of its own.
 */
export async function runWorker(
  options: WorkerOptions,
  logger: Logger,
  overrides: Overrides = {},
): Promise<RunningWorker> {
  const {
    token = null,
    tls = null,
    tracer = noTracer,
    maxBodyBytes = MAX_BODY_BYTES,
    maxArtifactBytes = 32 * 2 ** 30,
    memoryBytes = defaultBudget(1),
  } = options;
  const { upstream = null, threads, compute = onCpu, tensorFlow = 'auto' } = options;
  const engines =
    upstream === null
      ? (overrides.engines ?? new ThreadedEngines({ threads, compute, tensorFlow }, logger))
      : null;
  const budget = new MemoryBudget(memoryBytes);
  const own = engines && (await openOwn(options.artifacts, engines, budget, logger));
  const models = own?.models ?? new UpstreamModels(upstream!);
  const clock = overrides.clock ?? new AttentiveClock();
  const admission = new RequestAdmission(
    options.admission ?? { requests: MOST_REQUESTS, bytes: budget.trafficBytes },
    () => models.backlogMs,
  );
  const served: { -readonly [K in keyof Served]: Served[K] } = {
    models,
    own,
    tracer,
    admission,
    metrics: createMetrics(models, own?.models ?? null, admission),
    uploads: new Uploads(MOST_UPLOADS),
    maxArtifactBytes,
    takesArtifacts: false,
    isDraining: false,
  };
  const server = await createWorkerServer(
    (call) => answer(served, call),
    { token, tls, maxBodyBytes, isDraining: () => served.isDraining },
    clock,
    logger,
  );
  const { address, isLocal } = await listen(server, options.listen);
  served.takesArtifacts = isLocal || token !== null;
  if (!served.takesArtifacts) {
    logger.warn(
      { address },
      'whoever reaches this address may use the worker: FOVEA_WORKER_TOKEN is not set',
    );
  }
  const upkeep = own ? await keepUp(own, overrides.lookMs ?? LOOK_MS, logger) : [];
  let closed: Promise<void> | undefined;
  const close = async () => {
    served.isDraining = true;
    await new Promise((resolve) => server.close(resolve));
    clock.stop();
    for (const repeating of upkeep) await repeating.stop();
    await models.close();
    await engines?.close();
  };
  return {
    address: address.startsWith('unix:') ? address : `${tls ? 'https' : 'http'}://${address}`,
    get isComputing() {
      return engines?.isBusy ?? false;
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

type Own = NonNullable<Served['own']>;

/** The models that this process holds itself, none yet. */
async function openOwn(folder: string, engines: Engines, budget: MemoryBudget, logger: Logger): Promise<Own> {
  const artifacts = new ArtifactStore(folder);
  await mkdir(artifacts.dir, { recursive: true }).catch((error: Error) => {
    throw new OperatorError(`--artifacts ${artifacts.dir}: it cannot be made: ${error.message}`);
  });
  return { artifacts, models: new WorkerModels(artifacts.dir, engines, budget, logger) };
}

async function keepUp({ artifacts, models }: Own, lookMs: number, logger: Logger): Promise<Repeating[]> {
  const sweep = () => artifacts.clearStale();
  await sweep().catch((error: Error) => logger.warn({ err: error }, 'the artefact folder cannot be swept'));
  return [
    repeat('sweeping the artefact folder', SWEEP_MS, sweep, logger),
    repeat('looking at the memory', lookMs, () => models.relieve(), logger),
  ];
}
