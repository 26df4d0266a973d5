import type { Logger } from '../../lib/logger.ts';
import type { Variant } from '../variant.ts';
import { Arrivals } from './arrivals.ts';
import { DeadlyImages } from './deadly-images.ts';
import { Demand } from './demand.ts';
import { type LoadSomewhereOptions, loadSomewhere } from './load-somewhere.ts';
import { Quarantine, type QuarantineOptions } from './quarantine.ts';
import type { InferenceWorker } from './worker.ts';
import type { DeathKind, WorkerHost, WorkerTask } from './worker-host.ts';

/** How long a worker that leaves may take to answer what it was given. */
const LEAVE_MS = 60_000;

/** Puts workers into the pool and takes them out again, for as long as it is not closed. */
export interface WorkerSource {
  close(): void;
}

/**
 * All workers there are: those of this machine, those at fixed addresses, and those that come and go. A variant is held where
 * it is asked for, by as many workers as it keeps busy; each worker unloads what was of use least lately.
 */
export class WorkerPool implements WorkerHost {
  readonly quarantine: Quarantine;
  readonly deadlyImages = new DeadlyImages();
  readonly demand = new Demand();
  readonly #workers = new Set<InferenceWorker>();
  readonly #leaving = new Set<InferenceWorker>();
  readonly #sources = new Set<WorkerSource>();
  readonly #arrivals = new Arrivals();

  constructor(logger: Logger, quarantine?: QuarantineOptions) {
    this.quarantine = new Quarantine(logger, quarantine);
  }

  /** Those that may be given work, in the order in which they came. */
  get workers(): readonly InferenceWorker[] {
    return [...this.#workers];
  }

  /** Whether one of them is ready. */
  get ready(): boolean {
    return this.workers.some(({ ready }) => ready);
  }

  /**
   * What whoever becomes ready is to hold: what was asked for last, so that it can be given work at once, and what is in demand
   * and no worker that is ready holds. The rest it loads as it is asked of it.
   */
  get wanted(): Variant[] {
    const ready = this.workers.filter(({ ready }) => ready);
    const lately = this.demand.lately.filter(({ key }) => !this.quarantine.isDoubtful(key));
    const isHeld = ({ key }: Variant) => ready.some((worker) => worker.holds(key));
    return lately.filter((variant, index) => index === 0 || !isHeld(variant));
  }

  loaded(variant: Variant, ms: number): void {
    this.demand.loaded(variant, ms);
  }

  answered(variantKey: string): void {
    this.quarantine.answered(variantKey);
  }

  died(kind: DeathKind, tasks: Iterable<WorkerTask>): void {
    this.quarantine.died(kind, tasks);
  }

  /** Called each time a worker becomes ready. */
  onReady(callback: () => void): void {
    this.#arrivals.listen(callback);
  }

  /** Takes over the end of `worker`. */
  add(worker: InferenceWorker): void {
    this.#workers.add(worker);
    const arrived = () => {
      if (this.#workers.has(worker)) this.#arrivals.arrived();
    };
    worker.onReady(arrived);
    if (worker.ready) arrived();
  }

  /** Takes over the end of `source`. */
  follow(source: WorkerSource): void {
    this.#sources.add(source);
  }

  /** Gives it no more work, has what it was given answered, and closes it. */
  async remove(worker: InferenceWorker): Promise<void> {
    if (!this.#workers.delete(worker)) return;
    this.#leaving.add(worker);
    await worker.close(LEAVE_MS).finally(() => this.#leaving.delete(worker));
  }

  /** How many workers hold a variant. */
  holders(variantKey: string): number {
    return this.workers.filter((worker) => worker.holds(variantKey)).length;
  }

  /**
   * Settles when a worker holds each of the variants, so that what is asked of them is answered at once, or `copies` workers as
   * far as they can; while none is ready, that takes until one is. `onlyIfRoom`: nothing is unloaded for them.
   *
   * @throws ModelLoadError where no worker can hold one, WorkerLostError where all of them went away meanwhile
   */
  async load(variants: readonly Variant[], options: LoadSomewhereOptions = {}): Promise<void> {
    for (const variant of variants) {
      while (!this.ready) await this.#arrivals.next();
      const ready = this.workers.filter(({ ready }) => ready);
      await loadSomewhere(variant, ready, options);
      this.demand.asked(variant);
    }
  }

  async close(): Promise<void> {
    this.#arrivals.close();
    for (const source of this.#sources) source.close();
    const workers = [...this.#workers, ...this.#leaving];
    this.#workers.clear();
    await Promise.all(workers.map((worker) => worker.close()));
  }

  /** Ends what would outlive this process, at once. */
  killNow(): void {
    this.#arrivals.close();
    for (const source of this.#sources) source.close();
    for (const worker of [...this.#workers, ...this.#leaving]) worker.killNow();
  }
}
