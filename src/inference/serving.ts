import { setTimeout as delay } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../lib/clock.ts';
import { DeadlineExceededError, HungUpError } from '../lib/errors.ts';
import { orAborted } from '../lib/or-aborted.ts';
import type { SafeFetch } from '../lib/safe-fetch.ts';
import { traced } from '../lib/tracing/span.ts';
import { isRefused } from '../metering/failures.ts';
import type { Ledger } from '../metering/ledger.ts';
import type { AnswerMargin } from './answer-margin.ts';
import {
  equalUnderWay,
  HOLD_OUTLIVES_DEADLINE_MS,
  type Hold,
  hold,
  type KeptAnswer,
  requestHash,
} from './booking.ts';
import { hitPrice } from './cache/hit-price.ts';
import type { Answered, ResultCache } from './cache/result-cache.ts';
import { resultKey } from './cache/result-key.ts';
import { type Computed, Run } from './cache/run.ts';
import type { Size } from './images/geometry.ts';
import { ImageError } from './images/image-error.ts';
import { readImage } from './images/read-image.ts';
import type { ImageSource, UploadedFiles } from './images/source.ts';
import { requireKeepable } from './kept-size.ts';
import type { ModelHealth } from './model-health.ts';
import type { ChosenVariant } from './model-selection.ts';
import type { Answer, Caller, FailedImage, InferenceRequest, Receipt } from './request.ts';
import type { Place } from './scheduler/admission.ts';
import type { Ticket } from './scheduler/batch.ts';
import type { Dispatcher } from './scheduler/dispatcher.ts';
import { readOrAskAnother } from './second-opinion.ts';
import type { OutputReader } from './tasks/output-reader.ts';
import type { Readings, Results, ServedTask } from './tasks/read-output.ts';
import { DEFAULT_TIMEOUT_MS } from './validate.ts';
import type { Variant } from './variant.ts';

export interface ServingDependencies {
  readonly ledger: Ledger;
  readonly dispatcher: Dispatcher;
  readonly reader: OutputReader;
  readonly health: ModelHealth;
  readonly fetch: SafeFetch;
  readonly uploads: UploadedFiles;
  /** null: every image is run. */
  readonly cache: ResultCache | null;
  /** What of the price an image costs that was not run for its request, 0..1. */
  readonly cachedShare: number;
  readonly margin: AnswerMargin;
  readonly clock: Clock;
}

/** How long a failed request waits for its hold to be given back before its client is told. */
const GIVE_BACK_MS = 500;

/** How a request wants an image of the given size read. */
export type ReadingOf<T extends ServedTask> = (variant: Variant, original: Size) => Readings[T];

interface AnsweredImage<Result> extends Answered<Result> {
  readonly decodeMs: number;
}

/** One admitted request, from RESERVE to COMMIT or release. */
export class Serving<T extends ServedTask> {
  readonly #dependencies: ServingDependencies;
  readonly #caller: Caller;
  readonly #task: T;
  readonly #request: InferenceRequest;
  readonly #chosen: ChosenVariant;
  readonly #readingOf: ReadingOf<T>;
  readonly #place: Place;
  /** On the clock of `Clock.elapsed`. */
  readonly #startedAt: number;
  readonly #timeoutMs: number;
  readonly #requestId: string;
  readonly #idempotency: { key: string; requestHash: Uint8Array } | null;
  /** Aborted with the error that ends the request before its answer. */
  readonly #abandoned = new AbortController();
  readonly #ticket: Ticket;
  readonly #over = Promise.withResolvers<void>();
  /** Units that are booked, or may be. */
  #billed = 0;
  /** An equal request has the idempotency key, and no answer yet. */
  #waitsForEqual = false;

  constructor(
    dependencies: ServingDependencies,
    caller: Caller,
    task: T,
    request: InferenceRequest,
    chosen: ChosenVariant,
    readingOf: ReadingOf<T>,
    place: Place,
  ) {
    this.#dependencies = dependencies;
    this.#caller = caller;
    this.#task = task;
    this.#request = request;
    this.#chosen = chosen;
    this.#readingOf = readingOf;
    this.#place = place;
    this.#startedAt = dependencies.clock.elapsed();
    this.#timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#requestId = uuidv7({ msecs: dependencies.clock.now() });
    const key = request.idempotencyKey;
    this.#idempotency = key === null ? null : { key, requestHash: requestHash(task, request) };
    this.#ticket = {
      tenant: caller.tenantId,
      weight: caller.weight,
      plan: caller.plan,
      priority: request.priority,
      deadline: this.#startedAt + this.#allowedMs(),
      abandoned: this.#abandoned.signal,
      span: caller.span,
      dispatched: false,
    };
  }

  async answer(): Promise<Answer<Results[T]>> {
    // While its model was looked up nobody listened for this.
    if (this.#caller.signal.aborted) throw new HungUpError();
    const timer = setTimeout(
      () => this.#abandon(this.#waitsForEqual ? equalUnderWay() : this.#deadlineExceeded()),
      this.#allowedMs(),
    );
    const hungUp = () => {
      // What is dispatched is computed anyway: it is booked, and waits for a retry under its idempotency key.
      if (!this.#ticket.dispatched) this.#abandon(new HungUpError());
    };
    this.#caller.signal.addEventListener('abort', hungUp);
    const reserved = this.#reserve();
    const taken = reserved.then(({ kind }) => (kind === 'admitted' ? this.#takeBudget() : 0));
    const held = taken.then(() => reserved);
    // It is awaited by each image in turn; until the first gets there nobody listens.
    held.catch(() => {});
    try {
      // Only a request that may be a replay waits here; every other is decoded while its units are reserved.
      if (this.#idempotency) {
        const outcome = await this.#orAbandoned(held);
        if (outcome.kind === 'replay') return await this.#replay(outcome.answer);
      }
      const images = await this.#orAbandoned(
        Promise.all(this.#request.images.map((source) => this.#answerImage(source, held))),
      );
      // Where every image failed at once, none of them has waited for this.
      await this.#orAbandoned(held);
      // Bookings may have become slow since it began.
      if (this.#dependencies.clock.elapsed() - this.#startedAt > this.#allowedMs())
        throw this.#deadlineExceeded();
      return await this.#commit(images);
    } catch (error) {
      this.#abandon(error);
      await this.#giveBack(reserved);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#caller.signal.removeEventListener('abort', hungUp);
      this.#over.resolve();
      await this.#giveBackBudget(taken);
    }
  }

  /** Until its booking must be asked for, by what is known now of how long the rest takes. */
  #allowedMs(): number {
    const { margin, clock } = this.#dependencies;
    return this.#timeoutMs - margin.of(this.#timeoutMs, clock.elapsed());
  }

  get #units(): number {
    return this.#request.images.length * this.#chosen.variant.unitsPerImage;
  }

  /** Answers the units taken of what the credential may spend: of an admitted request alone, since a replay costs nothing. */
  async #takeBudget(): Promise<number> {
    const { budget } = this.#caller;
    if (budget === null) return 0;
    await budget.take(this.#units);
    return this.#units;
  }

  #reserve(): Promise<Hold<Results[T] | FailedImage>> {
    const { tenantId, monthlyUnits: limit, hardLimit } = this.#caller;
    const reservation = {
      requestId: this.#requestId,
      tenantId,
      units: this.#units,
      limit,
      hardLimit,
      ttlMs: this.#timeoutMs + HOLD_OUTLIVES_DEADLINE_MS,
      idempotency: this.#idempotency,
    };
    return traced(this.#caller.span, 'reserve', { 'fovea.units': this.#units }, () =>
      hold(this.#dependencies.ledger, reservation, {
        signal: this.#abandoned.signal,
        waits: (isWaiting) => {
          this.#waitsForEqual = isWaiting;
        },
      }),
    );
  }

  /**
   * Whoever is told of a failure should find no trace of it in the quota, but not wait for a database that hangs: then the
   * hold is given back later, or expires.
   */
  async #giveBack(reserved: Promise<Hold<Results[T] | FailedImage>>): Promise<void> {
    const { ledger } = this.#dependencies;
    const givenBack = reserved.then(async ({ kind }) => {
      if (kind === 'admitted') await ledger.release(this.#requestId, this.#caller.tenantId);
    });
    const settled = givenBack.catch(() => {});
    await Promise.race([settled, delay(GIVE_BACK_MS, undefined, { ref: false })]);
  }

  /** The one place that gives units back to the credential: whatever came of the request, what it was not billed. */
  async #giveBackBudget(taken: Promise<number>): Promise<void> {
    const { budget } = this.#caller;
    if (budget === null) return;
    const givenBack = taken.then(async (units) => {
      if (units > this.#billed) await budget.giveBack(units - this.#billed);
    });
    const settled = givenBack.catch(() => {});
    await Promise.race([settled, delay(GIVE_BACK_MS, undefined, { ref: false })]);
  }

  async #answerImage(
    source: ImageSource,
    held: Promise<unknown>,
  ): Promise<AnsweredImage<Results[T]> | FailedImage> {
    const { variant } = this.#chosen;
    const { fetch, uploads } = this.#dependencies;
    try {
      // Nothing is fetched for a tenant whose quota does not cover it.
      if ('url' in source) await held;
      const { tenantId, span } = this.#caller;
      const options = { tenantId, signal: this.#abandoned.signal, fetch, uploads };
      const { width, height, pixels, decodeMs } = await traced(span, 'decode', {}, () =>
        readImage(source, variant.input, options),
      );
      if ('url' in source) this.#place.arrived();
      await held;
      return { ...(await this.#answerPixels(pixels, { width, height })), decodeMs };
    } catch (error) {
      if (error instanceof ImageError) return { kind: 'error', code: error.code, message: error.message };
      throw error;
    }
  }

  async #answerPixels(pixels: Uint8Array, original: Size): Promise<Answered<Results[T]>> {
    const { cache } = this.#dependencies;
    const { tenantId, span } = this.#caller;
    const reading = this.#readingOf(this.#chosen.variant, original);
    const compute = () => this.#compute(pixels, reading);
    if (cache === null) return { key: null, run: new Run(await compute()), waitedMs: null };
    const key = resultKey(tenantId, this.#task, this.#chosen, reading, pixels);
    const { signal } = this.#abandoned;
    const { priority } = this.#request;
    const asker = { tenantId, priority, signal, over: this.#over.promise };
    return traced(span, 'cache', {}, (looking) =>
      cache.answer(asker, key, () => {
        looking.end();
        return compute();
      }),
    );
  }

  async #compute(pixels: Uint8Array, reading: Readings[T]): Promise<Computed<Results[T]>> {
    const { dispatcher, reader, health } = this.#dependencies;
    const first = await dispatcher.run(this.#chosen, this.#ticket, pixels);
    const turn = { owner: this.#caller.tenantId, signal: this.#abandoned.signal };
    try {
      const { output, reading: read } = await traced(this.#caller.span, 'postprocess', {}, () =>
        readOrAskAnother(first, ({ outputs }) => reader.read(this.#task, outputs, reading, turn)),
      );
      health.answered(this.#chosen);
      const { device, batchSize, queueMs, inferenceMs } = output;
      return { result: read.result, device, batchSize, queueMs, inferenceMs, postprocessMs: read.ms };
    } catch (error) {
      if (error instanceof ImageError) health.failed(this.#chosen, error);
      throw error;
    }
  }

  async #commit(images: (AnsweredImage<Results[T]> | FailedImage)[]) {
    const { tenantId, apiKeyId, memberId, monthlyUnits: limit } = this.#caller;
    const { model, version, variant } = this.#chosen;
    const { cache, cachedShare, margin, clock } = this.#dependencies;
    const answered = images.filter((image): image is AnsweredImage<Results[T]> => 'run' in image);
    const results = images.map((image) => ('run' in image ? image.run.computed.result : image));
    if (this.#idempotency) requireKeepable(results);
    const paid = answered.filter(({ run }) => run.claim());
    const cached = answered.length - paid.length;
    const units = paid.length * variant.unitsPerImage + cached * hitPrice(variant.unitsPerImage, cachedShare);
    const receipt = this.#receipt(answered, paid, units);

    // Where the ledger does not say what came of it, it may be booked: the credential must not spend it again.
    this.#billed = units;
    const isNotBooked = () => {
      this.#billed = 0;
      for (const { run } of paid) run.unclaim();
    };
    const booking = {
      requestId: this.#requestId,
      tenantId,
      apiKeyId,
      memberId,
      operation: this.#task,
      model,
      version,
      compression: variant.compression,
      images: answered.length,
      errors: images.length - answered.length,
      cachedImages: receipt.cachedImages,
      units,
      latencyMs: receipt.timings.totalMs,
      idempotency: this.#idempotency && { ...this.#idempotency, answer: { results, receipt } },
    };
    const askedAt = clock.elapsed();
    const outcome = await traced(this.#caller.span, 'commit', { 'fovea.units': units }, () =>
      this.#dependencies.ledger.commit(booking),
    ).catch((error: unknown) => {
      if (isRefused(error)) isNotBooked();
      throw error;
    });
    margin.booked(clock.elapsed() - askedAt, clock.elapsed());
    // The hold was swept: nothing was booked, so nothing is answered.
    if (outcome.kind === 'no-hold') {
      isNotBooked();
      throw this.#deadlineExceeded();
    }
    for (const image of paid) cache?.keep(tenantId, image);

    const { used, reserved, resetsAt } = outcome;
    const remaining = limit === null ? null : Math.max(0, limit - used - reserved);
    return {
      results,
      receipt: { ...receipt, quota: { meter: 'units' as const, limit, used, reserved, remaining, resetsAt } },
    };
  }

  /** `paid`: those of the answered images whose run is this request's to pay for. */
  #receipt(
    answered: readonly AnsweredImage<Results[T]>[],
    paid: readonly AnsweredImage<Results[T]>[],
    units: number,
  ): Omit<Receipt, 'quota'> {
    const longest = (ms: (image: AnsweredImage<Results[T]>) => number) => Math.max(0, ...answered.map(ms));
    /** Of a run that somebody else began, this request has seen the wait alone. */
    const longestOfRun = (ms: (computed: Computed<unknown>) => number) =>
      longest(({ run, waitedMs }) => (waitedMs === null ? ms(run.computed) : 0));
    return {
      requestId: this.#requestId,
      model: this.#chosen.model,
      version: this.#chosen.version,
      compression: this.#chosen.variant.compression,
      device: paid[0]?.run.computed.device ?? 'cache',
      images: answered.length,
      units,
      cachedImages: answered.length - paid.length,
      replayed: false,
      batchSize: Math.max(0, ...paid.map(({ run }) => run.computed.batchSize)),
      timings: {
        totalMs: this.#dependencies.clock.elapsed() - this.#startedAt,
        decodeMs: longest(({ decodeMs }) => decodeMs),
        queueMs: longest(({ run, waitedMs }) => waitedMs ?? run.computed.queueMs),
        inferenceMs: longestOfRun(({ inferenceMs }) => inferenceMs),
        postprocessMs: longestOfRun(({ postprocessMs }) => postprocessMs),
      },
    };
  }

  async #replay({ results, receipt }: KeptAnswer<Results[T] | FailedImage>) {
    const quota = await this.#dependencies.ledger.quota(this.#caller.tenantId, this.#caller.monthlyUnits);
    return { results: [...results], receipt: { ...receipt, units: 0, replayed: true, quota } };
  }

  #abandon(reason: unknown): void {
    this.#abandoned.abort(reason);
  }

  #orAbandoned<V>(work: Promise<V>): Promise<V> {
    return orAborted(work, this.#abandoned.signal);
  }

  #deadlineExceeded(): DeadlineExceededError {
    return new DeadlineExceededError(
      `The request was not answered within ${this.#timeoutMs} ms: nothing is billed. Raise input.timeoutMs, or try again later.`,
    );
  }
}
