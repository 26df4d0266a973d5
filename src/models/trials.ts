import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ArtifactStore } from '../inference/artifact-store.ts';
import { OipError, WorkerLostError } from '../inference/oip/errors.ts';
import { WorkerProcess } from '../inference/pool/worker-process.ts';
import type { Tensor } from '../inference/tensor.ts';
import type { ModelFormat } from '../inference/variant.ts';
import type { TensorFlowChoice } from '../inference/worker/engines/tensorflow/runtime.ts';
import { machineBytes } from '../inference/worker/memory-budget.ts';
import type { Lifetime } from '../lib/lifetime.ts';
import { oneAtATime } from '../lib/one-at-a-time.ts';

/** The graph on trial does not load, run or end; the message says how. */
export class TrialError extends Error {}

/** Runs the graph on trial; answers all its outputs, in the graph's order. */
export type Run = (input: Tensor) => Promise<Tensor[]>;

export interface TrialsOptions {
  /** What is proven moves there. */
  readonly artifacts: ArtifactStore;
  /** Which TensorFlow the servers run models of its formats with; auto. */
  readonly tensorFlow?: TensorFlowChoice;
  /** Trials end early with the process that runs them. */
  readonly lifetime?: Pick<Lifetime, 'own'>;
}

/** How a graph is loaded. */
export interface LoadOptions {
  readonly format: ModelFormat;
  /** SHA-256 of each file of weights that it points to; the store of trials holds them. */
  readonly externalData: readonly string[];
  /** Pictures it is warmed up with. */
  readonly maxBatch: number;
}

const PREFIX = 'fovea-proof-';
const ABANDONED_MS = 24 * 60 * 60_000;
const START_MS = 30_000;
const PATIENCE_MS = 120_000;
const UNLOAD_MS = 10_000;

/** Lends `work` what models are tried in before they are imported into `artifacts`, one after the other. */
export async function withTrials<T>(
  options: TrialsOptions,
  work: (trials: Trials) => Promise<T>,
): Promise<T> {
  const trials = new Trials(options);
  try {
    return await work(trials);
  } finally {
    await trials.end();
  }
}

/**
 * A store of its own, and a worker process that runs what lies there: a graph that takes its process down, or never ends, takes
 * nothing else. Both come when they are first wanted.
 */
export class Trials {
  readonly artifacts: ArtifactStore;
  readonly #tensorFlow: TensorFlowChoice;
  readonly #lifetime: Pick<Lifetime, 'own'> | undefined;
  readonly #inTurn = oneAtATime();
  #store: Promise<ArtifactStore> | null = null;
  #worker: WorkerProcess | null = null;

  /** See `withTrials`. */
  constructor({ artifacts, tensorFlow = 'auto', lifetime }: TrialsOptions) {
    this.artifacts = artifacts;
    this.#tensorFlow = tensorFlow;
    this.#lifetime = lifetime;
  }

  /**
   * Takes the graphs that are tried, and the files of weights that they point to. It lies beside `artifacts`: what is proven moves
   * there without being copied. A process that was killed leaves it, which the first trial a day later removes.
   */
  store(): Promise<ArtifactStore> {
    this.#store ??= removeAbandoned(this.artifacts.dir).then(() => this.artifacts.beside(PREFIX));
    return this.#store;
  }

  /**
   * Loads a graph for as long as `work` runs, which may be twice; one graph at a time. Where anything goes wrong, the process it ran
   * in is not used again. Throws a TrialError for what the graph is to blame for.
   */
  try<T>(graph: Uint8Array, options: LoadOptions, work: (run: Run) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const isFirst = this.#worker === null;
      try {
        return await this.#tryOnce(graph, options, work);
      } catch (error) {
        const isLost = error instanceof TrialError && error.cause instanceof WorkerLostError;
        if (isFirst || !isLost) throw error;
        // The graphs before it may have left the process such that it died: now it has one of its own.
        return await this.#tryOnce(graph, options, work);
      }
    });
  }

  async #tryOnce<T>(
    graph: Uint8Array,
    { format, externalData, maxBatch }: LoadOptions,
    work: (run: Run) => Promise<T>,
  ): Promise<T> {
    const store = await this.store();
    try {
      const { client } = await this.#running(store);
      const parameters = {
        sha256: await store.put(graph),
        external_data: externalData.join(','),
        format,
        warmup_batch: maxBatch,
      };
      await blamed(client.load('model', parameters, AbortSignal.timeout(PATIENCE_MS)));
      const result = await work(async (input) => {
        const signal = AbortSignal.timeout(PATIENCE_MS);
        return (await blamed(client.infer('model', [input], { signal }))).outputs;
      });
      // The next one is not to find its memory taken. What cannot be unloaded goes with its process.
      await client.unload('model', AbortSignal.timeout(UNLOAD_MS)).catch(() => this.#endWorker());
      return result;
    } catch (error) {
      await this.#endWorker();
      throw error;
    }
  }

  async #running(store: ArtifactStore): Promise<WorkerProcess> {
    if (this.#worker?.pid != null) return this.#worker;
    const main = fileURLToPath(new URL('../main.ts', import.meta.url));
    const worker = new WorkerProcess([process.execPath, '--disable-warning=ExperimentalWarning', main], {
      artifacts: store.dir,
      threads: 1,
      // Whether there is room to serve it is for those who serve it to say.
      memoryBytes: machineBytes(),
      tensorFlow: this.#tensorFlow,
      // What goes wrong is told to the caller.
      logLevel: 'silent',
    });
    this.#worker = worker;
    this.#lifetime?.own({
      name: 'trial of a model',
      close: () => ended(worker),
      killNow: () => worker.kill(),
    });
    await worker.listening(START_MS); // A worker that does not even start is no fault of the file.
    return worker;
  }

  async #endWorker(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    if (worker) await ended(worker);
  }

  /** Ends the process and removes the store, with what was not proven; until the next trial. */
  end(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#endWorker();
      const made = this.#store;
      this.#store = null;
      const store = await made?.catch(() => null); // Whoever asked for it has heard why there is none.
      if (store) await rm(store.dir, { recursive: true, force: true });
    });
  }
}

async function ended(worker: WorkerProcess): Promise<void> {
  worker.kill();
  await worker.ended;
}

async function removeAbandoned(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => []); // There is nothing yet.
  for (const name of names.filter((each) => each.startsWith(PREFIX))) {
    const found = await stat(join(dir, name)).catch(() => null); // Its own import has just removed it.
    if (found && Date.now() - found.mtimeMs > ABANDONED_MS)
      await rm(join(dir, name), { recursive: true, force: true });
  }
}

/** Turns what the graph caused into a TrialError; what it cannot have caused is thrown as it is. */
async function blamed<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof OipError) throw new TrialError(withoutSource(error.message), { cause: error });
    if (error instanceof WorkerLostError)
      throw new TrialError(`a graph that ended the process it was tried in (${error.message})`, {
        cause: error,
      });
    if (error instanceof DOMException && error.name === 'TimeoutError')
      throw new TrialError(`a graph that was not done after ${PATIENCE_MS / 1000} s`, { cause: error });
    throw error;
  }
}

/** An engine's message without the place in its own source, which the operator can do nothing about. */
function withoutSource(message: string): string {
  return message.replace(/\/onnxruntime_src\/\S+ .*?\) (?=[A-Z])/, '').trim();
}
