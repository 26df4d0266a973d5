import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OipError, WorkerLostError } from '../inference/oip/errors.ts';
import { WorkerProcess } from '../inference/pool/worker-process.ts';
import type { Tensor } from '../inference/tensor.ts';
import type { Lifetime } from '../lib/lifetime.ts';
import { ArtifactStore } from './artifact-store.ts';

/** The graph on trial does not load, run or end; the message says how. */
export class TrialError extends Error {}

/** Runs the graph on trial; answers all its outputs, in the graph's order. */
export type Run = (input: Tensor) => Promise<Tensor[]>;

/** Where a trial ends early: with the process that runs it. */
export type TrialLifetime = Pick<Lifetime, 'own'> | undefined;

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
  lifetime: TrialLifetime,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'fovea-proof-'));
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const worker = new WorkerProcess(
    [process.execPath, '--disable-warning=ExperimentalWarning', main],
    // What goes wrong is told to the caller.
    { artifacts: folder, threads: 1, logLevel: 'silent' },
  );
  const kill = async () => {
    worker.kill();
    await worker.ended;
  };
  try {
    lifetime?.own({ name: 'trial of a model', close: kill, killNow: () => worker.kill() });
    await worker.listening(START_MS); // a worker that does not even start is no fault of the file
    const sha256 = await new ArtifactStore(folder).put(graph);
    const parameters = { sha256, format: 'onnx', warmup_batch: maxBatch };
    await blamed(worker.client.load('model', parameters, AbortSignal.timeout(PATIENCE_MS)));
    return await work(async (input) => {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      return (await blamed(worker.client.infer('model', [input], { signal }))).outputs;
    });
  } finally {
    await kill();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Turns what the graph caused into a TrialError; what it cannot have caused is thrown as it is. */
async function blamed<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof OipError) throw new TrialError(error.message);
    if (error instanceof WorkerLostError)
      throw new TrialError(`a graph that ended the process it was tried in (${error.message})`);
    if (error instanceof DOMException && error.name === 'TimeoutError')
      throw new TrialError(`a graph that was not done after ${PATIENCE_MS / 1000} s`);
    throw error;
  }
}
