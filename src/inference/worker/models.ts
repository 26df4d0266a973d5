import type { Logger } from '../../lib/logger.ts';
import { OipError } from '../oip/errors.ts';
import type { Tensor, TensorMetadata } from '../tensor.ts';
import { AbsentModels } from './absent-models.ts';
import { type CheckedFiles, checkArtifacts, readArtifact } from './artifacts.ts';
import { checkInputs } from './check-inputs.ts';
import type { Engine, EngineLoader, LoadedModel } from './engine.ts';
import { RunQueue, type Wish } from './run-queue.ts';
import { ModelStatistics } from './statistics.ts';
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
  /** Milliseconds before its turn. */
  readonly queueMs: number;
  /** Milliseconds inside the engine, waiting excluded. */
  readonly computeMs: number;
  readonly device: string;
  /** The first dimension of the model's first input: images, in a model of pictures. */
  readonly batchSize: number;
}

export interface ListedModel {
  readonly name: string;
  /** READY also while another artefact is loaded under the name. */
  readonly state: 'READY' | 'LOADING' | 'UNAVAILABLE';
  readonly reason: string;
}

interface Entry {
  readonly source: ModelSource;
  readonly platform: string;
  readonly model: LoadedModel;
  /** Since the name was loaded, whatever artefact it held. */
  readonly statistics: ModelStatistics;
}

/** The models a worker holds, by name. Every run, warm-up and disposal happens one at a time; upkeep goes before runs. */
export class WorkerModels {
  readonly #artifacts: string;
  readonly #engines: ReadonlyMap<string, EngineLoader>;
  readonly #logger: Logger;
  readonly #loaded = new Map<string, Entry>();
  readonly #loading = new Map<string, { source: ModelSource; done: Promise<void> }>();
  readonly #absent = new AbsentModels();
  readonly #queue = new RunQueue();

  constructor(artifacts: string, engines: ReadonlyMap<string, EngineLoader>, logger: Logger) {
    this.#artifacts = artifacts;
    this.#engines = engines;
    this.#logger = logger;
  }

  /**
   * Settles when the model answers. Single-flight per name; nothing to do where the name holds this artefact already;
   * another artefact under the name serves until the new one does. `source` null: what the name holds or held last. Throws
   * OipError 400 or 404.
   */
  async load(name: string, source: ModelSource | null): Promise<void> {
    const wanted = source ?? this.#lastSource(name);
    for (let pending = this.#loading.get(name); pending; pending = this.#loading.get(name)) {
      if (pending.source.sha256 === wanted.sha256) return pending.done;
      await pending.done.catch(() => undefined); // Its own caller hears of it.
    }
    if (this.#loaded.get(name)?.source.sha256 === wanted.sha256) return;
    const done = this.#replace(name, wanted)
      .catch((error: Error) => {
        if (!this.#loaded.has(name)) this.#absent.add(name, { source: wanted, reason: error.message });
        throw error;
      })
      .finally(() => this.#loading.delete(name));
    this.#loading.set(name, { source: wanted, done });
    return done;
  }

  /** Does nothing where the name holds nothing. */
  async unload(name: string): Promise<void> {
    await this.#loading.get(name)?.done.catch(() => undefined); // Its own caller hears of it.
    const entry = this.#loaded.get(name);
    if (!entry) return;
    this.#loaded.delete(name);
    this.#absent.add(name, { source: entry.source, reason: 'unloaded' });
    await this.#queue.enter(() => entry.model.dispose());
  }

  has(name: string): boolean {
    return this.#loaded.has(name);
  }

  list(): ListedModel[] {
    const ready = [...this.#loaded.keys()];
    const loading = [...this.#loading.keys()].filter((name) => !this.#loaded.has(name));
    const absent = this.#absent.list().filter(([name]) => !this.#loading.has(name));
    return [
      ...ready.map((name): ListedModel => ({ name, state: 'READY', reason: '' })),
      ...loading.map((name): ListedModel => ({ name, state: 'LOADING', reason: '' })),
      ...absent.map(([name, { reason }]): ListedModel => ({ name, state: 'UNAVAILABLE', reason })),
    ];
  }

  metadata(name: string): ServedMetadata {
    const { platform, model } = this.#find(name);
    return { platform, inputs: model.inputs, outputs: model.outputs };
  }

  /** Throws OipError 404. */
  statisticsOf(name: string): ModelStatistics {
    return this.#find(name).statistics;
  }

  *statistics(): Iterable<[name: string, statistics: ModelStatistics]> {
    for (const [name, { statistics }] of this.#loaded) yield [name, statistics];
  }

  /**
   * `outputs`: those wanted, null: all. Throws OipError; the wish's signal's reason where it is aborted before its turn.
   *
   * The batch may be larger than the one that the model was warmed with: that is what its callers mean to send, not what
   * the graph takes.
   */
  async infer(
    name: string,
    inputs: readonly Tensor[],
    outputs: readonly string[] | null,
    wish: Wish,
  ): Promise<Inference> {
    const { statistics, model: present } = this.#find(name);
    checkInputs(present.inputs, inputs); // Nobody waits to hear of a mistake.
    wantedOutputs(present, outputs);
    const askedAt = performance.now();
    let waiting = 1;
    const waits = () => {
      statistics.pending -= waiting;
      waiting = 0;
    };
    statistics.pending += waiting;
    try {
      return await this.#queue.enter(async () => {
        waits();
        const startedAt = performance.now();
        const { model } = this.#find(name); // It may be another by now.
        checkInputs(model.inputs, inputs);
        const wanted = wantedOutputs(model, outputs);
        const start = performance.now();
        const results = await model.run(inputs, wanted).catch((error: Error) => {
          throw new OipError(500, `model '${name}' failed: ${error.message}`, { cause: error });
        });
        return {
          outputs: results,
          queueMs: startedAt - askedAt,
          computeMs: performance.now() - start,
          device: model.device,
          batchSize: inputs.find((input) => input.name === model.inputs[0]?.name)?.shape[0] ?? 1,
        };
      }, wish);
    } finally {
      waits();
    }
  }

  /** Waits for what was asked for, then frees every model. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#loading.values()].map(({ done }) => done));
    const entries = [...this.#loaded.values()];
    this.#loaded.clear();
    await this.#queue.enter(async () => {
      for (const { model } of entries) await model.dispose();
    });
  }

  #find(name: string): Entry {
    const entry = this.#loaded.get(name);
    if (!entry) throw new OipError(404, `model '${name}' is not loaded`);
    return entry;
  }

  #lastSource(name: string): ModelSource {
    const last = this.#loading.get(name) ?? this.#loaded.get(name) ?? this.#absent.get(name);
    if (last) return last.source;
    throw new OipError(
      400,
      `model '${name}': expected the parameter sha256, since nothing was loaded before`,
    );
  }

  async #replace(name: string, source: ModelSource): Promise<void> {
    const { sha256, externalData, format, maxBatch } = source;
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
    const statistics = former?.statistics ?? new ModelStatistics();
    this.#loaded.set(name, { source, platform: engine.platform, model, statistics });
    this.#absent.delete(name);
    const { device, remarks = [] } = model;
    const ms = Math.round(performance.now() - start);
    this.#logger.info({ model: name, sha256, device, ms }, 'model loaded');
    for (const remark of remarks) this.#logger.warn({ model: name, device }, remark);
    if (former) await this.#queue.enter(() => former.model.dispose());
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
      await this.#queue.enter(() => warmUp(model, maxBatch));
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
