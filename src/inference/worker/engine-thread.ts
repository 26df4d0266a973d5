import { parentPort, workerData } from 'node:worker_threads';
import { createLogger } from '../../lib/logger.ts';
import { oneAtATime } from '../../lib/one-at-a-time.ts';
import type { Tensor, TensorMetadata } from '../tensor.ts';
import type { ModelFormat } from '../variant.ts';
import type { Engine, LoadedModel, StoredFiles } from './engine.ts';
import { type EngineOptions, engines } from './engines/index.ts';

// The thread that computes, one thing after the other, in the order in which it is asked.

export interface ThreadData {
  readonly options: EngineOptions;
  /** Of the lines that it writes to standard error. */
  readonly logLevel: string;
}

/** What may change with each run. */
export type RunNotes = Required<Pick<LoadedModel, 'device' | 'remarks'>>;

export interface LoadedThere extends RunNotes {
  /** What the thread knows it by. */
  readonly model: number;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface RunThere extends RunNotes {
  readonly outputs: Tensor[];
}

/** What a task comes to. `moved`: what of it goes over without a copy. */
interface Done<Result> {
  readonly result: Result;
  readonly moved?: readonly ArrayBuffer[];
}

type AnyTask = (...given: readonly unknown[]) => Promise<Done<unknown>>;

const { options, logLevel } = workerData as ThreadData;
const loaders = engines(options, createLogger(logLevel));
const started = new Map<ModelFormat, Engine>();
const models = new Map<number, LoadedModel>();
const inTurn = oneAtATime();
let loaded = 0;

const tasks = {
  /** Starts the engine of a format, and answers its platform. */
  async start(format: ModelFormat): Promise<Done<string>> {
    const engine = await loaders[format]();
    started.set(format, engine);
    return { result: engine.platform };
  },

  async load(format: ModelFormat, artifact: Uint8Array, files: StoredFiles): Promise<Done<LoadedThere>> {
    const found = await started.get(format)!.load(artifact, files);
    loaded += 1;
    models.set(loaded, found);
    const { inputs, outputs } = found;
    return { result: { model: loaded, inputs, outputs, ...notesOf(found) } };
  },

  async run(model: number, inputs: readonly Tensor[], wanted: readonly string[]): Promise<Done<RunThere>> {
    const found = models.get(model)!;
    // An engine's memory stays where it is.
    const outputs = (await found.run(inputs, wanted)).map((tensor) => ({
      ...tensor,
      data: new Uint8Array(tensor.data),
    }));
    return { result: { outputs, ...notesOf(found) }, moved: outputs.map(({ data }) => data.buffer) };
  },

  async dispose(model: number): Promise<Done<void>> {
    const found = models.get(model)!;
    models.delete(model);
    await found.dispose();
    return { result: undefined };
  },

  /** What JavaScript takes here, bytes: its heap, and the buffers that belong to it. */
  async heapBytes(): Promise<Done<number>> {
    const { heapTotal, external } = process.memoryUsage();
    return { result: heapTotal + external };
  },

  /** Its answer says that all before it is done. */
  async nothing(): Promise<Done<void>> {
    return { result: undefined };
  },
};

export type Tasks = typeof tasks;
export type TaskName = keyof Tasks;

export interface Asked {
  readonly id: number;
  readonly task: TaskName;
  readonly given: readonly unknown[];
}

export type Answered = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

parentPort!.on('message', async ({ id, task, given }: Asked) => {
  const answer = (answered: Answered, moved: readonly ArrayBuffer[] = []) =>
    parentPort!.postMessage(answered, moved);
  try {
    const { result, moved } = await inTurn(() => (tasks[task] as AnyTask)(...given));
    answer({ id, result }, moved);
  } catch (error) {
    answer({ id, error: error instanceof Error ? error.message : String(error) });
  }
});

function notesOf({ device, remarks = [] }: LoadedModel): RunNotes {
  return { device, remarks };
}
