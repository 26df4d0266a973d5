import type { Logger } from '../../lib/logger.ts';
import { oneAtATime } from '../../lib/one-at-a-time.ts';
import { OipError } from '../oip/errors.ts';
import type { Tensor, TensorMetadata } from '../tensor.ts';
import { AbsentModels } from './absent-models.ts';
import { type CheckedFiles, checkArtifacts, readArtifact, sizeOf } from './artifacts.ts';
import type { Engine, EngineLoader, Engines } from './engine.ts';
import { HeldModel, isSame, type ModelSource } from './held-model.ts';
import { HeldModels, type MemoryUse } from './held-models.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { type Run, type RunRequest, runTogether } from './run-together.ts';
import type { ServedModels } from './served-models.ts';
import { ModelStatistics } from './statistics.ts';
import { Turns, type Wish } from './turns.ts';
import { type WarmModel, warmUp } from './warm-up.ts';

export interface ServedMetadata {
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  readonly parameters: { readonly memory_bytes: number };
}

export interface Inference {
  readonly outputs: Tensor[];
  /** Milliseconds before its turn. */
  readonly queueMs: number;
  /** Milliseconds inside the engine that the whole batch took, waiting excluded. */
  readonly computeMs: number;
  readonly device: string;
  /** The first dimension of the model's first input: images, in a model of pictures. */
  readonly images: number;
  /** Images that were run with it, its own included. */
  readonly batchSize: number;
}

/** A request for its turn. */
interface Asked extends RunRequest {
  readonly name: string;
  /** Its turn has come. */
  begin(): void;
}

export interface ListedModel {
  readonly name: string;
  /** READY also while another artefact is loaded under the name. */
  readonly state: 'READY' | 'LOADING' | 'UNAVAILABLE';
  readonly reason: string;
}

/** What a load came to. */
export interface LoadOutcome {
  /** What the model takes of the memory. */
  readonly bytes: number;
  /** Names of models that were unloaded for it. */
  readonly unloaded: readonly string[];
}

/**
 * The models a worker holds, by name, within its budget of memory: where another finds no room, those that were of use least
 * lately are unloaded. Every load, run and disposal happens one at a time, so none breaks another; `Turns` says in what order.
 */
export class WorkerModels implements ServedModels {
  readonly #artifacts: string;
  readonly #engines: Engines;
  /** By artefact format. */
  readonly #started = new Map<string, Engine>();
  readonly #budget: MemoryBudget;
  readonly #logger: Logger;
  readonly #loaded: HeldModels;
  readonly #loading = new Map<string, { source: ModelSource; done: Promise<LoadOutcome> }>();
  readonly #absent = new AbsentModels();
  readonly #turns = new Turns((requests: readonly Asked[]) => this.#run(requests));
  /** What a load takes can be measured while there is no other. */
  readonly #loadAlone = oneAtATime();

  constructor(artifacts: string, engines: Engines, budget: MemoryBudget, logger: Logger) {
    this.#artifacts = artifacts;
    this.#engines = engines;
    this.#budget = budget;
    this.#logger = logger;
    const free = (held: HeldModel, name: string, reason: string) => {
      this.#absent.add(name, { source: held.source, reason });
      this.#turns.forget(name);
      return this.#turns.upkeep(() => held.model.dispose());
    };
    this.#loaded = new HeldModels(budget, free, logger);
  }

  /** How long the requests that wait should take, milliseconds. */
  get backlogMs(): number {
    return this.#turns.backlogMs;
  }

  /** How many models were unloaded for want of memory. */
  get unloads(): number {
    return this.#loaded.unloads;
  }

  /**
   * Settles when the model answers. Single-flight per name; nothing to do where the name holds this already;
   * another artefact under the name serves until the new one does. `source` null: what the name holds or held last. Throws
   * OipError 400 or 404, and 507 where it finds no room: even alone, or with `onlyIfRoom` beside those that are there.
   */
  async load(
    name: string,
    source: ModelSource | null,
    { onlyIfRoom = false }: { onlyIfRoom?: boolean } = {},
  ): Promise<LoadOutcome> {
    const wanted = source ?? this.#lastSource(name);
    for (let pending = this.#loading.get(name); pending; pending = this.#loading.get(name)) {
      if (isSame(pending.source, wanted)) return pending.done;
      await pending.done.catch(() => undefined); // Its own caller hears of it.
    }
    const held = this.#loaded.get(name);
    if (held && isSame(held.source, wanted)) return { bytes: held.bytes, unloaded: [] };
    const done = this.#loadAlone(() => this.#replace(name, wanted, onlyIfRoom))
      .catch((error: Error) => {
        if (!this.has(name)) this.#absent.add(name, { source: wanted, reason: error.message });
        throw error;
      })
      .finally(() => this.#loading.delete(name));
    this.#loading.set(name, { source: wanted, done });
    return done;
  }

  /** Does nothing where the name holds nothing. */
  async unload(name: string): Promise<void> {
    await this.#loading.get(name)?.done.catch(() => undefined); // Its own caller hears of it.
    await this.#loaded.unload(name, 'unloaded');
  }

  has(name: string): boolean {
    return this.#loaded.get(name) !== undefined;
  }

  /** Where an engine hangs it never settles: what computes nothing must not look well. */
  requireReady(): Promise<void> {
    return this.#engines.settled();
  }

  /** A name holds one version. */
  async keyOf(name: string, version: string | undefined): Promise<string> {
    if (version === undefined || version === '1') return name;
    throw new OipError(404, `version '${version.slice(0, 80)}': the only version is '1'`);
  }

  async isReady(name: string): Promise<boolean> {
    return this.has(name);
  }

  config(): null {
    return null;
  }

  list(): ListedModel[] {
    const ready = Array.from(this.#loaded, ([name]) => name);
    const loading = [...this.#loading.keys()].filter((name) => !this.has(name));
    const absent = this.#absent.list().filter(([name]) => !this.#loading.has(name));
    return [
      ...ready.map((name): ListedModel => ({ name, state: 'READY', reason: '' })),
      ...loading.map((name): ListedModel => ({ name, state: 'LOADING', reason: '' })),
      ...absent.map(([name, { reason }]): ListedModel => ({ name, state: 'UNAVAILABLE', reason })),
    ];
  }

  metadata(name: string): ServedMetadata {
    const { platform, model, bytes } = this.#find(name);
    const { inputs, outputs } = model;
    return { versions: ['1'], platform, inputs, outputs, parameters: { memory_bytes: bytes } };
  }

  memory(): MemoryUse {
    return this.#loaded.use();
  }

  /** See `HeldModels.relieve`. */
  relieve(): Promise<void> {
    return this.#loaded.relieve();
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
    const present = this.#find(name);
    const company = present.companyOf(inputs, outputs); // Nobody waits to hear of a mistake.
    const { images } = company;
    const leave = present.enter();
    const wait = present.statistics.wait();
    try {
      const asked = { name, inputs, outputs, images, begin: wait.end };
      const run = await this.#turns.enter(asked, company, wish);
      return { ...run, images, queueMs: wait.ms };
    } finally {
      wait.end();
      leave();
    }
  }

  /** Waits for what was asked for, then frees every model. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#loading.values()].map(({ done }) => done));
    for (const [name] of [...this.#loaded]) await this.#loaded.unload(name, 'the worker ends');
  }

  async #run(requests: readonly Asked[]): Promise<PromiseSettledResult<Run>[]> {
    for (const { begin } of requests) begin();
    try {
      const held = this.#find(requests[0]!.name); // It may be another by now.
      return await runTogether(held, requests);
    } catch (reason) {
      return requests.map(() => ({ status: 'rejected', reason }));
    }
  }

  #find(name: string): HeldModel {
    const held = this.#loaded.get(name);
    if (!held) throw new OipError(404, `model '${name}' is not loaded`);
    return held;
  }

  #lastSource(name: string): ModelSource {
    const last = this.#loading.get(name) ?? this.#loaded.get(name) ?? this.#absent.get(name);
    if (last) return last.source;
    throw new OipError(
      400,
      `model '${name}': expected the parameter sha256, since nothing was loaded before`,
    );
  }

  async #replace(name: string, source: ModelSource, onlyIfRoom: boolean): Promise<LoadOutcome> {
    const { sha256, externalData, format } = source;
    const start = performance.now();
    const load = this.#engines.loaders.get(format);
    if (!load) {
      const known = [...this.#engines.loaders.keys()].join(', ');
      throw new OipError(400, `model '${name}': expected format to be one of ${known}, found '${format}'`);
    }
    const least = await sizeOf(this.#artifacts, [sha256, ...externalData]);
    const engine = this.#started.get(format) ?? (await this.#start(format, load));
    const expected = this.#budget.expected(source, least);
    this.#budget.requirePossible(name, expected);
    const unloaded = await this.#loaded.makeRoom(name, expected, onlyIfRoom);
    const artifact = await readArtifact(this.#artifacts, sha256);
    const files = await checkArtifacts(this.#artifacts, externalData);
    const {
      opened: { model, answersByImage },
      bytes,
    } = await this.#turns.upkeep(() =>
      this.#budget.measure(source, least, this.#engines, () =>
        this.#open(name, engine, artifact, files, source),
      ),
    );
    try {
      this.#budget.requirePossible(name, bytes);
      // It may have taken more than was reckoned with.
      unloaded.push(...(await this.#loaded.makeRoom(name, bytes, onlyIfRoom)));
    } catch (error) {
      await this.#turns.upkeep(() => model.dispose());
      throw error;
    }
    const statistics = this.#loaded.get(name)?.statistics ?? new ModelStatistics();
    const held = new HeldModel({ name, source, platform: engine.platform, model, bytes, statistics });
    if (!answersByImage) held.cannotJoin();
    const former = this.#loaded.set(name, held);
    // What the former model's runs took says nothing of this one's.
    if (former) this.#turns.forget(name);
    this.#absent.delete(name);
    const { device, remarks = [] } = model;
    const ms = Math.round(performance.now() - start);
    this.#logger.info({ model: name, sha256, device, ms, bytes }, 'model loaded');
    for (const remark of remarks) this.#logger.warn({ model: name, device }, remark);
    if (former) await this.#turns.upkeep(() => former.model.dispose());
    return { bytes, unloaded };
  }

  async #start(format: string, load: EngineLoader): Promise<Engine> {
    const engine = await this.#turns.upkeep(() => this.#budget.startEngine(load));
    this.#started.set(format, engine);
    return engine;
  }

  async #open(
    name: string,
    engine: Engine,
    artifact: Uint8Array,
    files: CheckedFiles,
    source: ModelSource,
  ): Promise<WarmModel> {
    try {
      const model = await engine.load(artifact, files);
      try {
        await files.requireUnchanged();
        return await warmUp(model, source);
      } catch (error) {
        await model.dispose();
        throw error;
      }
    } catch (error) {
      throw new OipError(400, `model '${name}' cannot be loaded: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}
