import { performance } from 'node:perf_hooks';
import type { Logger } from '../../lib/logger.ts';
import { OipError } from '../oip/errors.ts';
import type { Tensor, TensorMetadata } from '../tensor.ts';
import { type CheckedFiles, checkArtifacts, readArtifact } from './artifacts.ts';
import { checkInputs } from './check-inputs.ts';
import type { Engine, EngineLoader, LoadedModel } from './engine.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { warmUp } from './warm-up.ts';

export interface ModelSource {
  readonly sha256: string;
  /** Artefacts that the graph points to for its weights. */
  readonly externalData: readonly string[];
  readonly format: string;
  /** Images the graph must take at once. */
  readonly maxBatch: number;
}

export interface ServedMetadata {
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface Inference {
  readonly outputs: Tensor[];
  /** Milliseconds inside the engine, waiting excluded. */
  readonly computeMs: number;
  readonly device: string;
}

interface Entry {
  readonly sha256: string;
  readonly platform: string;
  readonly model: LoadedModel;
}

/** The models a worker holds, by name. Every run, warm-up and disposal happens one at a time, in the order asked for. */
export class WorkerModels {
  readonly #artifacts: string;
  readonly #engines: ReadonlyMap<string, EngineLoader>;
  readonly #logger: Logger;
  readonly #loaded = new Map<string, Entry>();
  readonly #loading = new Map<string, { sha256: string; done: Promise<void> }>();
  readonly #enter = oneAtATime();

  constructor(artifacts: string, engines: ReadonlyMap<string, EngineLoader>, logger: Logger) {
    this.#artifacts = artifacts;
    this.#engines = engines;
    this.#logger = logger;
  }

  /**
   * Settles when the model answers. Single-flight per name; nothing to do where the name holds this artefact already;
   * another artefact under the name serves until the new one does. Throws OipError 400 or 404.
   */
  async load(name: string, source: ModelSource): Promise<void> {
    for (let pending = this.#loading.get(name); pending; pending = this.#loading.get(name)) {
      if (pending.sha256 === source.sha256) return pending.done;
      await pending.done.catch(() => undefined); // Its own caller hears of it.
    }
    if (this.#loaded.get(name)?.sha256 === source.sha256) return;
    const done = this.#replace(name, source).finally(() => this.#loading.delete(name));
    this.#loading.set(name, { sha256: source.sha256, done });
    return done;
  }

  async unload(name: string): Promise<void> {
    await this.#loading.get(name)?.done.catch(() => undefined); // Its own caller hears of it.
    const entry = this.#find(name);
    this.#loaded.delete(name);
    await this.#enter(() => entry.model.dispose());
  }

  has(name: string): boolean {
    return this.#loaded.has(name);
  }

  list(): { name: string; ready: boolean }[] {
    const names = new Set([...this.#loaded.keys(), ...this.#loading.keys()]);
    return [...names].map((name) => ({ name, ready: this.#loaded.has(name) }));
  }

  metadata(name: string): ServedMetadata {
    const { platform, model } = this.#find(name);
    return { platform, inputs: model.inputs, outputs: model.outputs };
  }

  /** `outputs`: those wanted, null: all. Throws OipError; the signal's reason where it is aborted before its turn. */
  infer(
    name: string,
    inputs: readonly Tensor[],
    outputs: readonly string[] | null,
    signal: AbortSignal,
  ): Promise<Inference> {
    return this.#enter(async () => {
      signal.throwIfAborted();
      const { model } = this.#find(name);
      checkInputs(model.inputs, inputs);
      const wanted = wantedOutputs(model, outputs);
      const start = performance.now();
      const results = await model.run(inputs, wanted).catch((error: Error) => {
        throw new OipError(500, `model '${name}' failed: ${error.message}`, { cause: error });
      });
      return { outputs: results, computeMs: performance.now() - start, device: model.device };
    });
  }

  /** Waits for what was asked for, then frees every model. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#loading.values()].map(({ done }) => done));
    const entries = [...this.#loaded.values()];
    this.#loaded.clear();
    await this.#enter(async () => {
      for (const { model } of entries) await model.dispose();
    });
  }

  #find(name: string): Entry {
    const entry = this.#loaded.get(name);
    if (!entry) throw new OipError(404, `model '${name}' is not loaded`);
    return entry;
  }

  async #replace(name: string, { sha256, externalData, format, maxBatch }: ModelSource): Promise<void> {
    const engineLoader = this.#engines.get(format);
    if (!engineLoader) {
      const known = [...this.#engines.keys()].join(', ');
      throw new OipError(400, `model '${name}': expected format to be one of ${known}, found '${format}'`);
    }
    const start = performance.now();
    const artifact = await readArtifact(this.#artifacts, sha256);
    const files = await checkArtifacts(this.#artifacts, externalData);
    const engine = await engineLoader();
    const model = await this.#open(engine, artifact, files, maxBatch).catch((error: Error) => {
      throw new OipError(400, `model '${name}' cannot be loaded: ${error.message}`, { cause: error });
    });
    const former = this.#loaded.get(name);
    this.#loaded.set(name, { sha256, platform: engine.platform, model });
    const { device, remarks = [] } = model;
    const ms = Math.round(performance.now() - start);
    this.#logger.info({ model: name, sha256, device, ms }, 'model loaded');
    for (const remark of remarks) this.#logger.warn({ model: name, device }, remark);
    if (former) await this.#enter(() => former.model.dispose());
  }

  async #open(
    engine: Engine,
    artifact: Uint8Array,
    files: CheckedFiles,
    maxBatch: number,
  ): Promise<LoadedModel> {
    const model = await engine.load(artifact, files);
    try {
      await files.requireUnchanged();
      await this.#enter(() => warmUp(model, maxBatch));
    } catch (error) {
      await model.dispose();
      throw error;
    }
    return model;
  }
}

function wantedOutputs(model: LoadedModel, names: readonly string[] | null): readonly string[] {
  const known = model.outputs.map(({ name }) => name);
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown === undefined) return names ?? known;
  const expected = known.map((name) => `'${name}'`).join(', ');
  throw new OipError(400, `output '${unknown}': the model has no such output, expected ${expected}`);
}
