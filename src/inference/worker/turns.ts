import { BusyError } from '../oip/errors.ts';
import { CostsOfAllKinds, keyOfKind } from '../scheduler/costs-of-all-kinds.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import type { Batch, Work } from '../scheduler/work.ts';

/** When a request may have its turn. */
export interface Wish {
  /** Who shares the device with others by weight. */
  readonly tenant: string;
  /** Above 0. */
  readonly weight: number;
  /** Of its tenant's requests lower ones first; those up to `ORDINARY_LEVEL` go before other tenants' above it as well. */
  readonly level: number;
  /** When it is to be done, from now on, milliseconds; null: whenever. */
  readonly timeoutMs: number | null;
  /** Whoever aborts leaves the queue. */
  readonly signal?: AbortSignal;
}

/** What it is run with. */
export interface Company {
  readonly model: string;
  /** Requests of one model with the same `kind` can be run together. */
  readonly kind: string;
  /** At least 1. */
  readonly images: number;
  /** What is run together has so many images at most. */
  readonly maxBatch: number;
}

export const ORDINARY_LEVEL = 50;
/** What has a free device at once is held to no time. */
const WHENEVER = Number.POSITIVE_INFINITY;
/** Timers know no longer time; who may wait longer is found out when its turn comes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Waiting<Request, Result> {
  readonly request: Request;
  /** Its turn has come, or it waits no longer. */
  readonly leave: () => void;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
  readonly expire: (waited: boolean) => void;
}

type Settled<Result> = readonly PromiseSettledResult<Result>[];

/**
 * Who uses a device next: the scheduler says so of requests, and upkeep goes before all of them, alone. Requests that fit are
 * run together.
 */
export class Turns<Request, Result> {
  readonly #run: (requests: readonly Request[]) => Promise<Settled<Result>>;
  readonly #lanes: number;
  readonly #costs = new CostsOfAllKinds();
  readonly #scheduler = new Scheduler<Waiting<Request, Result>>(this.#costs);
  readonly #upkeep: (() => Promise<void>)[] = [];
  #busy = 0;

  /** `run`: what each of the requests comes to, in their order; `lanes`: batches that are run at a time. */
  constructor(run: (requests: readonly Request[]) => Promise<Settled<Result>>, lanes = 1) {
    this.#run = run;
    this.#lanes = lanes;
  }

  /** What `work` comes to, once it has the device for itself. */
  upkeep<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#upkeep.push(() => work().then(resolve, reject));
      this.#dispatch();
    });
  }

  /**
   * What `request` comes to. Throws BusyError where it could not be done in time, and the signal's reason where that was
   * aborted before its turn: it is not run then. Nobody who finds the device free waits, so no timeout is held against it.
   */
  async enter(request: Request, company: Company, wish: Wish): Promise<Result> {
    const { signal, timeoutMs } = wish;
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const isFree = this.#busy < this.#lanes && this.#upkeep.length === 0 && this.#scheduler.depth === 0;
    const boundMs = isFree ? null : timeoutMs;
    const leave = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    const expire = (waited: boolean) => reject(timedOut(timeoutMs, waited));
    const now = performance.now();
    const work = workOf(
      { request, leave, resolve, reject, expire },
      company,
      wish,
      now + (boundMs ?? WHENEVER),
    );
    const giveUp = (tell: () => void) => {
      if (!this.#scheduler.remove(work)) return;
      leave();
      tell();
    };
    const abort = () => giveUp(() => reject(signal?.reason));
    const isTimed = boundMs !== null && boundMs <= LONGEST_TIMER_MS;
    const timer = isTimed ? setTimeout(() => giveUp(() => expire(true)), boundMs) : undefined;
    signal?.addEventListener('abort', abort, { once: true });
    this.#scheduler.enqueue(work, now);
    this.#dispatch();
    return promise;
  }

  /** How long what waits should take, milliseconds. */
  get backlogMs(): number {
    let ms = 0;
    for (const [key, images] of this.#scheduler.waiting) ms += this.#costs.batchMs(key, images);
    return ms;
  }

  /** What is known of a model's runs is of no use any more. */
  forget(model: string): void {
    this.#costs.forget(model);
  }

  #dispatch(): void {
    while (this.#busy < this.#lanes) {
      if (this.#upkeep.length > 0) {
        if (this.#busy > 0) return;
        this.#busy = this.#lanes;
        void this.#upkeep.shift()!().finally(() => this.#free(this.#lanes));
        return;
      }
      const now = performance.now();
      const { batch, expired } = this.#scheduler.next(now);
      for (const { payload, deadline } of expired) {
        payload.leave();
        payload.expire(deadline <= now);
      }
      if (!batch) return;
      this.#busy += 1;
      void this.#carry(batch).finally(() => this.#free(1));
    }
  }

  async #carry(batch: Batch<Waiting<Request, Result>>): Promise<void> {
    const waiting = batch.works.map(({ payload }) => payload);
    for (const { leave } of waiting) leave();
    const startedAt = performance.now();
    const settled = await this.#run(waiting.map(({ request }) => request));
    const endedAt = performance.now();
    this.#scheduler.settle(batch, endedAt - startedAt);
    // Where some failed it was run more than once, or not to its end.
    if (settled.every(({ status }) => status === 'fulfilled'))
      this.#costs.learn(batch.variantKey, batch.images, endedAt - startedAt, endedAt);
    waiting.forEach(({ resolve, reject }, position) => {
      const outcome = settled[position]!;
      if (outcome.status === 'fulfilled') resolve(outcome.value);
      else reject(outcome.reason);
    });
  }

  #free(lanes: number): void {
    // Once the answers are on their way.
    setImmediate(() => {
      this.#busy -= lanes;
      this.#dispatch();
    });
  }
}

function workOf<Payload>(
  payload: Payload,
  { model, kind, images, maxBatch }: Company,
  { tenant, weight, level }: Wish,
  deadline: number,
): Work<Payload> {
  return {
    ...{
      variantKey: keyOfKind(model, kind),
      images,
      maxBatch,
      tenant,
      weight,
      level,
      deadline,
      payload,
    },
    priority: level <= ORDINARY_LEVEL ? 'INTERACTIVE' : 'BATCH',
    maxQueueDelayMs: 0,
  };
}

function timedOut(timeoutMs: number | null, waited: boolean): BusyError {
  const timeout = `${Math.round(Number(timeoutMs) * 1_000)} µs`;
  const reason = waited ? `it waited for ${timeout}` : `it cannot be done within ${timeout}`;
  return new BusyError('late', `Request timeout expired: ${reason}, and was not run`, null);
}
