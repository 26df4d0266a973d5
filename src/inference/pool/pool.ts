import { WorkerLostError } from '../oip/errors.ts';
import type { Variant } from '../variant.ts';
import { Readiness } from './readiness.ts';
import type { InferenceWorker } from './worker.ts';

/** How long a worker that leaves may take to answer what it was given. */
const LEAVE_MS = 60_000;

/** Puts workers into the pool and takes them out again, for as long as it is not closed. */
export interface WorkerSource {
  close(): void;
}

/** All workers there are: those of this machine, those at fixed addresses, and those that come and go. */
export class WorkerPool {
  readonly #workers = new Set<InferenceWorker>();
  readonly #leaving = new Set<InferenceWorker>();
  readonly #sources = new Set<WorkerSource>();
  readonly #wanted = new Map<string, Variant>();
  /** Set for a moment each time a worker becomes ready. */
  readonly #arrivals = new Readiness<InferenceWorker>();

  /** Those that may be given work, in the order in which they came. */
  get workers(): readonly InferenceWorker[] {
    return [...this.#workers];
  }

  /** Whether one of them is ready. */
  get ready(): boolean {
    return this.workers.some(({ ready }) => ready);
  }

  /** What whoever becomes ready is to hold by then. */
  get wanted(): Iterable<Variant> {
    return this.#wanted.values();
  }

  /** Called each time a worker becomes ready. */
  onReady(callback: () => void): void {
    this.#arrivals.onReady(callback);
  }

  /** Takes over the end of `worker`. */
  add(worker: InferenceWorker): void {
    this.#workers.add(worker);
    const arrived = () => {
      if (!this.#workers.has(worker)) return;
      this.#arrivals.set(worker);
      this.#arrivals.clear();
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

  /**
   * Settles when every worker that is ready holds the variants, but for those that cannot; while none is ready, when the
   * first has become so. One that is down keeps nobody from being served: it loads them before it is ready.
   *
   * @throws ModelLoadError where no worker can hold them, WorkerLostError where all of them went away meanwhile
   */
  async load(variants: readonly Variant[]): Promise<void> {
    for (const variant of variants) this.#wanted.set(variant.key, variant);
    while (!this.ready) await this.#arrivals.wait();
    const loads = this.workers
      .filter(({ ready }) => ready)
      .map((worker) => Promise.all(variants.map((variant) => worker.ensureLoaded(variant))));
    const outcomes = await Promise.allSettled(loads);
    const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
    if (failures.length < outcomes.length) return;
    const refusal = failures.find((reason) => !(reason instanceof WorkerLostError));
    // What nobody takes is not to be asked of whoever comes; of several variants one may be taken.
    if (refusal !== undefined) {
      for (const { key } of variants)
        if (!this.workers.some((worker) => worker.holds(key))) this.#wanted.delete(key);
    }
    throw refusal ?? failures[0];
  }

  /**
   * What one worker runs the others shall hold, too: one after the other loads it, so that never all of them are busy with
   * that. One that cannot does without it.
   */
  async spread(variant: Variant): Promise<void> {
    if (this.#wanted.has(variant.key)) return;
    this.#wanted.set(variant.key, variant);
    for (const worker of this.workers) {
      if (worker.ready && !worker.holds(variant.key))
        await worker.ensureLoaded(variant).catch(() => undefined); // It says why.
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
