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

/** The graph on trial does not load, run or end; the message says how. */
export class TrialError extends Error {}

/** Runs the graph on trial; answers all its outputs, in the graph's order. */
export type Run = (input: Tensor) => Promise<Tensor[]>;

/** What the graphs of one import are tried with. */
export interface Trial {
  readonly format: ModelFormat;
  /** Which TensorFlow the servers run models of its formats with. */
  readonly tensorFlow: TensorFlowChoice;
  /** Holds the files of weights that the graphs point to, and takes the graphs. */
  readonly store: ArtifactStore;
  /** SHA-256 of each of those files. */
  readonly externalData: readonly string[];
  /** Trials end early with the process that runs them. */
  readonly lifetime: Pick<Lifetime, 'own'> | undefined;
  /** Told what is tried: a large model takes its time. */
  readonly tell: (step: string) => void;
}

const PREFIX = 'fovea-proof-';
const ABANDONED_MS = 24 * 60 * 60_000;
const START_MS = 30_000;
const PATIENCE_MS = 120_000;

/**
 * Loads a graph, warmed up with `maxBatch` pictures, for as long as `work` runs. That is in a worker process of its own: a
 * graph that takes its process down, or never ends, takes nothing else. It ends with `lifetime` where that ends first.
 * Throws a TrialError for what the graph is to blame for.
 */
export async function tryGraph<T>(
  graph: Uint8Array,
  maxBatch: number,
  { format, tensorFlow, store, externalData, lifetime }: Trial,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const worker = new WorkerProcess(
    [process.execPath, '--disable-warning=ExperimentalWarning', main],
    // What goes wrong is told to the caller. Whether there is room to serve it is for those who serve it to say.
    { artifacts: store.dir, threads: 1, memoryBytes: machineBytes(), tensorFlow, logLevel: 'silent' },
  );
  const kill = async () => {
    worker.kill();
    await worker.ended;
  };
  try {
    lifetime?.own({ name: 'trial of a model', close: kill, killNow: () => worker.kill() });
    await worker.listening(START_MS); // a worker that does not even start is no fault of the file
    const parameters = {
      sha256: await store.put(graph),
      external_data: externalData.join(','),
      format,
      warmup_batch: maxBatch,
    };
    await blamed(worker.client.load('model', parameters, AbortSignal.timeout(PATIENCE_MS)));
    return await work(async (input) => {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      return (await blamed(worker.client.infer('model', [input], { signal }))).outputs;
    });
  } finally {
    await kill();
  }
}

/**
 * Lends `work` an empty store beside `artifacts`: what is proven moves there without being copied, and what is not leaves
 * nothing behind. A process that was killed leaves it all, which the next import a day later removes.
 */
export async function withTrialStore<T>(
  artifacts: ArtifactStore,
  work: (store: ArtifactStore) => Promise<T>,
): Promise<T> {
  await removeAbandoned(artifacts.dir);
  const store = await artifacts.beside(PREFIX);
  try {
    return await work(store);
  } finally {
    await rm(store.dir, { recursive: true, force: true });
  }
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
    if (error instanceof OipError) throw new TrialError(withoutSource(error.message));
    if (error instanceof WorkerLostError)
      throw new TrialError(`a graph that ended the process it was tried in (${error.message})`);
    if (error instanceof DOMException && error.name === 'TimeoutError')
      throw new TrialError(`a graph that was not done after ${PATIENCE_MS / 1000} s`);
    throw error;
  }
}

/** An engine's message without the place in its own source, which the operator can do nothing about. */
function withoutSource(message: string): string {
  return message.replace(/\/onnxruntime_src\/\S+ .*?\) (?=[A-Z])/, '').trim();
}
