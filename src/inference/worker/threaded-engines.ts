import { SHARE_ENV, type Transferable, Worker } from 'node:worker_threads';
import type { Logger } from '../../lib/logger.ts';
import { type ModelFormat, modelFormats } from '../variant.ts';
import type { Engine, EngineLoader, Engines, LoadedModel, StoredFiles } from './engine.ts';
import type { Answered, Asked, TaskName, Tasks, ThreadData } from './engine-thread.ts';
import type { EngineOptions } from './engines/index.ts';

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

type Result<Name extends TaskName> = Awaited<ReturnType<Tasks[Name]>>['result'];

/**
 * The engines on a thread of their own, which starts with the first of them; one for all, since a device runs one batch at a
 * time. Their bindings hold the thread that calls them until a run is over: here requests are read meanwhile, others answered,
 * and the worker can be looked at. Where the thread ends by itself the process does, with its code: what it held is lost, and
 * a pool would go on with an empty one.
 */
export class ThreadedEngines implements Engines {
  readonly loaders: ReadonlyMap<string, EngineLoader>;
  readonly #options: EngineOptions;
  readonly #logger: Logger;
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | null = null;
  #lastId = 0;

  constructor(options: EngineOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.loaders = new Map(modelFormats.map((format) => [format, () => this.#start(format)]));
  }

  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  async heapBytes(): Promise<number> {
    if (this.#thread === null) return 0;
    return this.#ask('heapBytes', []);
  }

  async settled(): Promise<void> {
    if (this.#thread !== null) await this.#ask('nothing', []);
  }

  async close(): Promise<void> {
    const thread = this.#thread;
    if (thread === null) return;
    await this.settled();
    thread.off('exit', endWithThread);
    await thread.terminate();
  }

  async #start(format: ModelFormat): Promise<Engine> {
    const platform = await this.#ask('start', [format]);
    return { platform, load: (artifact, files) => this.#load(format, artifact, files) };
  }

  async #load(
    format: ModelFormat,
    artifact: Uint8Array,
    { folder, hashes }: StoredFiles,
  ): Promise<LoadedModel> {
    const whole = artifact.byteLength === artifact.buffer.byteLength ? artifact : new Uint8Array(artifact);
    const given = [format, whole, { folder, hashes }] as const;
    const { model, inputs, outputs, ...notes } = await this.#ask('load', given, [
      whole.buffer as ArrayBuffer,
    ]);
    let { device, remarks } = notes;
    return {
      ...{ inputs, outputs },
      get device() {
        return device;
      },
      get remarks() {
        return remarks;
      },
      run: async (tensors, wanted) => {
        // What is left here of a request may be run once more, and a view of a body cannot go over without all of it.
        const copies = tensors.map((tensor) => ({ ...tensor, data: new Uint8Array(tensor.data) }));
        const run = await this.#ask(
          'run',
          [model, copies, wanted],
          copies.map(({ data }) => data.buffer),
        );
        ({ device, remarks } = run);
        return run.outputs;
      },
      dispose: () => this.#ask('dispose', [model]),
    };
  }

  /** Rejects with an Error in the engine's words. `moved`: what goes over without a copy, and is there alone then. */
  #ask<Name extends TaskName>(
    task: Name,
    given: Readonly<Parameters<Tasks[Name]>>,
    moved: readonly Transferable[] = [],
  ): Promise<Result<Name>> {
    this.#thread ??= this.#open();
    const { promise, resolve, reject } = Promise.withResolvers<Result<Name>>();
    this.#lastId += 1;
    const asked: Asked = { id: this.#lastId, task, given };
    this.#thread.postMessage(asked, moved);
    this.#waiting.set(asked.id, { resolve: resolve as Waiting['resolve'], reject });
    return promise;
  }

  #open(): Worker {
    const workerData: ThreadData = { options: this.#options, logLevel: this.#logger.level };
    const thread = new Worker(new URL('./engine-thread.ts', import.meta.url), {
      workerData,
      // The libraries read their settings from the process' environment.
      env: SHARE_ENV,
      // As a process' first thread has, where Node gives 4 MB: graphs within graphs are read by recursion.
      resourceLimits: { stackSizeMb: 8 },
    });
    thread.on('message', (answered: Answered) => {
      const { resolve, reject } = this.#waiting.get(answered.id)!;
      this.#waiting.delete(answered.id);
      if ('error' in answered) reject(new Error(answered.error));
      else resolve(answered.result);
    });
    thread.on('error', (err) => this.#logger.fatal({ err }, 'the thread of the engines failed'));
    thread.on('exit', endWithThread);
    return thread;
  }
}

function endWithThread(code: number): void {
  process.exit(code || 1);
}
