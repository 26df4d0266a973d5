import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../lib/logger.ts';
import { OipError, WorkerFaultError, WorkerLostError } from '../oip/errors.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import { checkAnswer } from './check-answer.ts';
import { FaultRecord, type Pauses } from './fault-record.ts';
import { MemoryWatch } from './memory-watch.ts';
import type { ModelServer, OpenVariant } from './model-server.ts';
import { type Patience, patience } from './patience.ts';
import { Readiness } from './readiness.ts';
import { type LoadOptions, VariantLoader } from './variant-loader.ts';
import {
  type BatchNotes,
  type BatchOutput,
  type InferenceWorker,
  type Loads,
  noLoads,
  type WorkerStats,
} from './worker.ts';
import { noHost, type WorkerHost, type WorkerTask } from './worker-host.ts';

export interface RemoteWorkerOptions {
  /** Its address, without credentials. */
  readonly name: string;
  readonly server: ModelServer;
  readonly host?: WorkerHost;
  /** A batch that takes longer is given up. 60 s. */
  readonly inferTimeoutMs?: number;
  /** A load that takes longer has hung. */
  readonly loadTimeoutMs: (variant: Variant) => Promise<number>;
  /** Between two looks at whether it is ready. 1 s. */
  readonly pollMs?: number;
  /** How long it is given no work once it is ejected: at first, and at most. 1 s and 30 s. */
  readonly pauseMs?: Pauses;
}

/** A look waits behind the batch that another client runs or the large model that it loads: far longer than an answer takes. */
const pollTimeoutMs = 30_000;
const closeGraceMs = 5_000;
/** Loading what is wanted may keep it from being ready for so long, and for one variant. */
const PREPARE_MS = 2_000;
/** What it held when it went away is expected back for so long. */
const AWAY_MS = 60_000;

/** A worker that somebody else runs. */
export class RemoteWorker implements InferenceWorker {
  readonly name: string;
  /** One computes while the other's pixels are on their way. */
  readonly capacity = 2;
  readonly #onAlive: (() => void)[] = [];
  #isShared = false;
  readonly #options: RemoteWorkerOptions;
  readonly #logger: Logger;
  readonly #server: ModelServer;
  readonly #host: WorkerHost;
  readonly #readiness = new Readiness<VariantLoader>();
  readonly #memory: MemoryWatch;
  readonly #record: FaultRecord;
  readonly #closing = new AbortController();
  readonly #watch: Promise<void>;
  readonly #batches = new Set<Promise<unknown>>();
  /** Why it was not ready at the last look; null: it was. */
  #obstacle: string | null = null;
  /** What it is at for us. */
  readonly #calls = new Set<WorkerTask>();
  #returns = -1;
  #isPreparing = false;
  #device: string | null = null;
  /** What it would not load, and why: that is told once. */
  readonly #refused = new Map<string, string>();

  constructor(options: RemoteWorkerOptions, logger: Logger) {
    this.name = options.name;
    this.#options = options;
    this.#logger = logger.child({ worker: options.name });
    this.#server = options.server;
    this.#host = options.host ?? noHost;
    this.#record = new FaultRecord(this.#logger, options.pauseMs);
    this.#memory = new MemoryWatch(
      async (signal) => (this.ready ? ((await this.#server.memory?.(signal)) ?? null) : null),
      (memory, askedAt) => {
        this.#readiness.current?.compare(memory, askedAt);
        if (this.#isShared) for (const told of this.#onAlive) told();
      },
      { everyMs: options.pollMs ?? 1_000, logger: this.#logger },
    );
    this.#watch = this.#watchReadiness();
  }

  get ready(): boolean {
    return this.#readiness.current !== null;
  }

  get isShared(): boolean {
    return this.#isShared;
  }

  get loads(): Loads {
    return this.#readiness.current?.loads ?? noLoads;
  }

  get isSilent(): boolean {
    return this.#memory.isSilent;
  }

  get freeBytes(): number | null {
    return this.#memory.latest?.freeBytes ?? null;
  }

  holds(variantKey: string): boolean {
    return this.#readiness.current?.holds(variantKey) ?? false;
  }

  refuses(variantKey: string): boolean {
    return this.#readiness.current?.refuses(variantKey) ?? false;
  }

  heldLately(variantKey: string): boolean {
    return this.#readiness.formerWithin(AWAY_MS)?.holds(variantKey) ?? false;
  }

  onReady(callback: () => void): void {
    this.#readiness.onReady(callback);
  }

  onAlive(callback: () => void): void {
    this.#onAlive.push(callback);
  }

  stats(): WorkerStats {
    const { current, closed } = this.#readiness;
    const down = this.#record.isEjected ? 'ejected' : 'starting';
    return {
      state: closed ? 'closed' : current ? 'ready' : down,
      restarts: Math.max(0, this.#returns),
      recycled: 0,
      faults: this.#record.counts,
      pid: null,
      rssBytes: null,
      memory: current ? this.#memory.latest : null,
      device: this.#device,
      variants: current?.held.length ?? 0,
    };
  }

  async ensureLoaded(variant: Variant, options?: LoadOptions): Promise<void> {
    const loader = await this.#readiness.wait();
    await loader.ensure(variant, options);
  }

  infer(variant: Variant, pixels: Tensor, notes: BatchNotes = {}): Promise<BatchOutput> {
    const batch = this.#infer(variant, pixels, notes);
    this.#batches.add(batch);
    const done = () => this.#batches.delete(batch);
    batch.then(done, done);
    return batch;
  }

  judged(fault: WorkerFaultError | null): void {
    if (fault === null) this.#record.good();
    else this.#fault(fault);
  }

  async close(graceMs = closeGraceMs): Promise<void> {
    this.#closing.abort();
    this.#readiness.close();
    const answered = Promise.allSettled(this.#batches);
    const bound = new AbortController();
    await Promise.race([
      answered,
      sleep(graceMs, undefined, { signal: bound.signal }).catch(() => undefined),
    ]);
    bound.abort();
    await this.#server.close();
    await this.#memory.close();
    await this.#watch;
  }

  killNow(): void {
    this.#closing.abort();
    this.#readiness.close();
    void this.#memory.close();
    void this.#server.close();
  }

  async #infer(
    variant: Variant,
    pixels: Tensor,
    { trace, schedule, tenants }: BatchNotes,
  ): Promise<BatchOutput> {
    const loader = await this.#readiness.wait();
    const notes = this.#isShared ? { trace, schedule } : { trace };
    const call = <T>(batch: Tensor | null, ms: number, ask: (signal: AbortSignal) => Promise<T>) =>
      this.#bounded({ variant, pixels: batch, tenants }, patience(ms, loader), ({ signal }) => ask(signal));
    const output = await loader.use(
      variant,
      (open) =>
        call(pixels, this.#options.inferTimeoutMs ?? 60_000, (signal) => open.infer(pixels, signal, notes)),
      (open) => call(null, pollTimeoutMs, (signal) => open.isHeld(signal)),
    );
    try {
      checkAnswer(variant, pixels.shape[0]!, output.outputs);
    } catch (error) {
      this.#fault(error as WorkerFaultError);
      throw error;
    }
    this.#device = output.device;
    this.#host.answered(variant.key);
    return output;
  }

  #fault(error: WorkerFaultError): void {
    if (this.#record.add(error)) this.#readiness.clear();
  }

  /** Whatever it was that kept it from answering, it is looked at again before it is given more. */
  async #bounded<T>(task: WorkerTask, bound: Patience, call: (bound: Patience) => Promise<T>): Promise<T> {
    this.#calls.add(task);
    try {
      return await call(bound);
    } catch (error) {
      if (error instanceof WorkerFaultError) this.#fault(error);
      if (error instanceof OipError) throw error;
      this.#gone(error instanceof WorkerLostError && error.isBusy);
      if (error instanceof WorkerLostError) throw error;
      const { message } = error as Error;
      this.#fault(new WorkerFaultError('silent', message, { cause: error }));
      throw new WorkerLostError(`${this.name} was given up: ${message}`, { cause: error });
    } finally {
      bound.end();
      this.#calls.delete(task);
    }
  }

  /** The first call that hears no answer tells of all that it had. */
  #gone(isBusy: boolean): void {
    if (!isBusy && (this.ready || this.#isPreparing)) this.#host.died('gone', [...this.#calls]);
    this.#readiness.clear();
  }

  async #watchReadiness(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      // While it computes for us it cannot answer, and its answer will show that it is well.
      if (this.#calls.size === 0 && !this.#record.isEjected) await this.#look();
      await sleep(this.#options.pollMs ?? 1_000, undefined, { signal }).catch(() => undefined); // Aborted: as above.
    }
  }

  async #look(): Promise<void> {
    const obstacle = await this.#whyNotReady();
    // A batch that was sent meanwhile keeps it from answering, and says nothing against it; one that came back meanwhile may
    // have had it ejected.
    if (this.#calls.size > 0 || this.#record.isEjected || this.#closing.signal.aborted) return;
    if (obstacle !== null) this.#hinder(obstacle);
    else if (!this.ready) await this.#admit();
  }

  async #whyNotReady(): Promise<string | null> {
    try {
      await this.#server.requireReady(AbortSignal.timeout(pollTimeoutMs));
      return null;
    } catch (error) {
      if (error instanceof WorkerFaultError) this.#fault(error);
      if (error instanceof OipError || error instanceof WorkerLostError) return error.message;
      const { name, message } = error as Error;
      return name === 'TimeoutError' ? `it did not answer within ${pollTimeoutMs} ms` : message;
    }
  }

  #hinder(obstacle: string): void {
    if (obstacle !== this.#obstacle) this.#logger.warn({ reason: obstacle }, 'remote worker is not ready');
    this.#obstacle = obstacle;
    this.#readiness.clear();
  }

  async #admit(): Promise<void> {
    const loader = new VariantLoader(
      (variant, onlyIfRoom) => this.#open(variant, onlyIfRoom),
      (variant, ms) => this.#host.loaded(variant, ms),
    );
    this.#isPreparing = true;
    try {
      const takes = await this.#server.takesSchedules?.(AbortSignal.timeout(pollTimeoutMs));
      this.#isShared = takes ?? false;
      await this.#prepare(loader);
    } catch (error) {
      return this.#hinder((error as Error).message);
    } finally {
      this.#isPreparing = false;
    }
    if (this.#closing.signal.aborted || this.#record.isEjected) return;
    this.#logger.info('remote worker is ready');
    this.#obstacle = null;
    this.#returns += 1;
    this.#readiness.set(loader);
    void this.#memory.look();
  }

  /**
   * A variant that it refuses, or says nonsense of, is no reason to do without it: that is told, and held against it. Nor is one
   * that finds no room there a reason to do without the next, which may.
   */
  async #prepare(loader: VariantLoader): Promise<void> {
    const start = performance.now();
    for (const variant of this.#host.wanted) {
      try {
        await loader.ensure(variant, { onlyIfRoom: true });
      } catch (error) {
        if (!(error instanceof OipError)) throw error;
      }
      if (performance.now() - start > PREPARE_MS || this.#record.isEjected) return;
    }
  }

  async #open(variant: Variant, onlyIfRoom: boolean): Promise<OpenVariant> {
    try {
      const allowed = patience(await this.#options.loadTimeoutMs(variant));
      const open = await this.#bounded({ variant, pixels: null }, allowed, (bound) =>
        this.#server.open(variant, bound, onlyIfRoom),
      );
      this.#refused.delete(variant.key);
      return open;
    } catch (error) {
      const reason = error instanceof OipError ? error.message : null;
      if (reason !== null && this.#refused.get(variant.key) !== reason) {
        this.#refused.set(variant.key, reason);
        this.#logger.warn(
          { model: variant.title, variant: variant.key, reason },
          'remote worker does not hold a variant',
        );
      }
      throw error;
    }
  }
}
