import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../lib/logger.ts';
import { ModelLoadError, OipError, WorkerFaultError, WorkerLostError } from '../oip/errors.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import { checkAnswer } from './check-answer.ts';
import { FaultRecord, type Pauses } from './fault-record.ts';
import type { ModelServer, OpenVariant } from './model-server.ts';
import { type Patience, patience } from './patience.ts';
import { Readiness } from './readiness.ts';
import { VariantLoader } from './variant-loader.ts';
import { type BatchOutput, type InferenceWorker, type Loads, noLoads, type WorkerStats } from './worker.ts';

export interface RemoteWorkerOptions {
  /** Its address, without credentials. */
  readonly name: string;
  readonly server: ModelServer;
  /** What it is to hold before it is given any work. */
  readonly wanted?: () => Iterable<Variant>;
  /** A batch that takes longer is given up. 60 s. */
  readonly inferTimeoutMs?: number;
  /** Between two looks at whether it is ready. 1 s. */
  readonly pollMs?: number;
  /** How long it is given no work once it is ejected: at first, and at most. 1 s and 30 s. */
  readonly pauseMs?: Pauses;
}

/** A look waits behind the batch that another client runs or the large model that it loads: far longer than an answer takes. */
const pollTimeoutMs = 30_000;
const loadTimeoutMs = 120_000;
const closeGraceMs = 5_000;
const MOST_LOSSES = 2;

type Loader = VariantLoader<OpenVariant>;

/** A worker that somebody else runs. */
export class RemoteWorker implements InferenceWorker {
  readonly name: string;
  /** One computes while the other's pixels are on their way. */
  readonly capacity = 2;
  readonly #options: RemoteWorkerOptions;
  readonly #logger: Logger;
  readonly #server: ModelServer;
  readonly #readiness = new Readiness<Loader>();
  readonly #record: FaultRecord;
  readonly #closing = new AbortController();
  readonly #watch: Promise<void>;
  readonly #batches = new Set<Promise<unknown>>();
  /** Why it was not ready at the last look; null: it was. */
  #obstacle: string | null = null;
  #running = 0;
  #returns = -1;
  #device: string | null = null;
  /** What it would not load, and why: that is told once. */
  readonly #refused = new Map<string, string>();
  /** How often in a row it went away while it loaded a variant to become ready. */
  readonly #lostOver = new Map<string, number>();

  constructor(options: RemoteWorkerOptions, logger: Logger) {
    this.name = options.name;
    this.#options = options;
    this.#logger = logger.child({ worker: options.name });
    this.#server = options.server;
    this.#record = new FaultRecord(this.#logger, options.pauseMs);
    this.#watch = this.#watchReadiness();
  }

  get ready(): boolean {
    return this.#readiness.current !== null;
  }

  get loads(): Loads {
    return this.#readiness.current?.loads ?? noLoads;
  }

  holds(variantKey: string): boolean {
    return this.#readiness.current?.held.has(variantKey) ?? false;
  }

  onReady(callback: () => void): void {
    this.#readiness.onReady(callback);
  }

  stats(): WorkerStats {
    const { current, closed } = this.#readiness;
    const down = this.#record.isEjected ? 'ejected' : 'starting';
    return {
      state: closed ? 'closed' : current ? 'ready' : down,
      restarts: Math.max(0, this.#returns),
      faults: this.#record.counts,
      pid: null,
      rssBytes: null,
      device: this.#device,
      variants: current?.held.size ?? 0,
    };
  }

  async ensureLoaded(variant: Variant): Promise<void> {
    const loader = await this.#readiness.wait();
    await loader.ensure(variant);
  }

  infer(variant: Variant, pixels: Tensor): Promise<BatchOutput> {
    const batch = this.#infer(variant, pixels);
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
    await this.#watch;
  }

  killNow(): void {
    this.#closing.abort();
    this.#readiness.close();
    void this.#server.close();
  }

  async #infer(variant: Variant, pixels: Tensor): Promise<BatchOutput> {
    const loader = await this.#readiness.wait();
    const output = await this.#inferOpen(loader, variant, pixels);
    try {
      checkAnswer(variant, pixels.shape[0]!, output.outputs);
    } catch (error) {
      this.#fault(error as WorkerFaultError);
      throw error;
    }
    this.#device = output.device;
    return output;
  }

  #fault(error: WorkerFaultError): void {
    if (this.#record.add(error)) this.#readiness.clear();
  }

  /** A server that restarted between two looks has lost its models, which only its error shows: load and ask once more. */
  async #inferOpen(loader: Loader, variant: Variant, pixels: Tensor): Promise<BatchOutput> {
    const open = await loader.ensure(variant);
    const run = (with_: OpenVariant) =>
      this.#bounded(patience(this.#options.inferTimeoutMs ?? 60_000, loader), ({ signal }) =>
        with_.infer(pixels, signal),
      );
    try {
      return await run(open);
    } catch (error) {
      if (!(error instanceof OipError) || error instanceof WorkerFaultError) throw error;
      if (await this.#bounded(patience(pollTimeoutMs, loader), ({ signal }) => open.isHeld(signal)))
        throw error;
      loader.forget(variant);
      return run(await loader.ensure(variant));
    }
  }

  /** Whatever it was that kept it from answering, it is looked at again before it is given more. */
  async #bounded<T>(bound: Patience, call: (bound: Patience) => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await call(bound);
    } catch (error) {
      if (error instanceof WorkerFaultError) this.#fault(error);
      if (error instanceof OipError) throw error;
      this.#readiness.clear();
      if (error instanceof WorkerLostError) throw error;
      const { message } = error as Error;
      this.#fault(new WorkerFaultError('silent', message, { cause: error }));
      throw new WorkerLostError(`${this.name} was given up: ${message}`, { cause: error });
    } finally {
      bound.end();
      this.#running -= 1;
    }
  }

  async #watchReadiness(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      // While it computes for us it cannot answer, and its answer will show that it is well.
      if (this.#running === 0 && !this.#record.isEjected) await this.#look();
      await sleep(this.#options.pollMs ?? 1_000, undefined, { signal }).catch(() => undefined); // Aborted: as above.
    }
  }

  async #look(): Promise<void> {
    const obstacle = await this.#whyNotReady();
    // A batch that was sent meanwhile keeps it from answering, and says nothing against it; one that came back meanwhile may
    // have had it ejected.
    if (this.#running > 0 || this.#record.isEjected || this.#closing.signal.aborted) return;
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

  /** With all that is wanted, so that nobody waits for a load. A variant that it refuses is no reason to do without it. */
  async #admit(): Promise<void> {
    const loader: Loader = new VariantLoader((variant) => this.#open(variant));
    try {
      for (const variant of this.#options.wanted?.() ?? []) await this.#preload(loader, variant);
    } catch (error) {
      return this.#hinder((error as Error).message);
    }
    if (this.#closing.signal.aborted) return;
    this.#logger.info('remote worker is ready');
    this.#obstacle = null;
    this.#returns += 1;
    this.#readiness.set(loader);
  }

  /** What it went away over twice may be what takes it down: the others are served without. Whoever asks for it has it loaded. */
  async #preload(loader: Loader, variant: Variant): Promise<void> {
    const losses = this.#lostOver.get(variant.key) ?? 0;
    if (losses >= MOST_LOSSES) return;
    try {
      await loader.ensure(variant);
    } catch (error) {
      if (error instanceof ModelLoadError) return;
      if (error instanceof WorkerLostError) this.#lostOver.set(variant.key, losses + 1);
      throw error;
    }
  }

  async #open(variant: Variant): Promise<OpenVariant> {
    try {
      const open = await this.#bounded(patience(loadTimeoutMs), (bound) => this.#server.open(variant, bound));
      this.#refused.delete(variant.key);
      this.#lostOver.delete(variant.key);
      return open;
    } catch (error) {
      const reason = error instanceof OipError ? error.message : null;
      if (reason !== null && this.#refused.get(variant.key) !== reason) {
        this.#refused.set(variant.key, reason);
        this.#logger.warn({ variant: variant.key, reason }, 'remote worker does not hold a variant');
      }
      throw error;
    }
  }
}
