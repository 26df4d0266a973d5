import { ConcurrencyLimitedError, ForbiddenError } from '../lib/errors.ts';
import { traced } from '../lib/tracing/span.ts';
import { AnswerMargin } from './answer-margin.ts';
import type { Size } from './images/geometry.ts';
import type { ChosenVariant, ModelSelection } from './model-selection.ts';
import type {
  Answer,
  Caller,
  ClassifyAnswer,
  ClassifyRequest,
  DetectAnswer,
  DetectRequest,
  InferenceRequest,
  Receipt,
  SegmentAnswer,
  SegmentRequest,
} from './request.ts';
import { type ReadingOf, Serving, type ServingDependencies } from './serving.ts';
import type { Results, ServedTask } from './tasks/read-output.ts';
import { DEFAULT_TIMEOUT_MS, validateClassify, validateDetect, validateSegment } from './validate.ts';
import type { ClassifyOutput, DetectOutput, SegmentOutput } from './variant.ts';

export interface InferenceDependencies extends Omit<ServingDependencies, 'margin'> {
  readonly selection: ModelSelection;
  /** Inference requests in flight by tenant; null: one more is too many. */
  readonly concurrency: {
    enter(tenantId: string, limit: number): (() => void) | null | Promise<(() => void) | null>;
    isFull(tenantId: string, limit: number): boolean;
  };
}

/** The way of a request from its images to a booked answer: see «How one request flows» in ARCHITECTURE.md. */
export class InferenceService {
  readonly #dependencies: InferenceDependencies & ServingDependencies;
  readonly #onAnswered: ((receipt: Receipt) => void)[] = [];

  constructor(dependencies: InferenceDependencies) {
    this.#dependencies = { ...dependencies, margin: new AnswerMargin() };
  }

  /** Called with each request that is answered, replays included. */
  onAnswered(callback: (receipt: Receipt) => void): void {
    this.#onAnswered.push(callback);
  }

  /**
   * Throws what any inference request of the tenant would be refused for at present, so far as that is known without one:
   * ConcurrencyLimitedError, OverloadedError.
   */
  requireRoom({ tenantId, weight, concurrency }: Pick<Caller, 'tenantId' | 'weight' | 'concurrency'>): void {
    if (this.#dependencies.concurrency.isFull(tenantId, concurrency)) throw tooManyInFlight({ concurrency });
    this.#dependencies.dispatcher.requireRoom({ tenant: tenantId, weight });
  }

  classify(caller: Caller, request: ClassifyRequest): Promise<ClassifyAnswer> {
    validateClassify(request);
    const { topK, minScore } = request;
    return this.#serve(caller, 'CLASSIFY', request, ({ output, labels }, original) => ({
      output: output as ClassifyOutput,
      labels,
      original,
      topK,
      minScore,
    }));
  }

  detect(caller: Caller, request: DetectRequest): Promise<DetectAnswer> {
    validateDetect(request);
    const { minScore, iouThreshold, maxDetections } = request;
    return this.#serve(caller, 'DETECT', request, ({ output, input, labels }, original) => ({
      output: output as DetectOutput,
      input,
      labels,
      original,
      minScore,
      iouThreshold,
      maxDetections,
    }));
  }

  segment(caller: Caller, request: SegmentRequest): Promise<SegmentAnswer> {
    validateSegment(request);
    const { minScore } = request;
    return this.#serve(caller, 'SEGMENT', request, ({ output, input, labels }, original) => ({
      output: output as SegmentOutput,
      input,
      labels,
      original,
      minScore,
    }));
  }

  /** The mask that `rle` tells of a picture of `size`, as a 1-bit PNG in base64. Waits for its tenant's turn. */
  maskPng(tenantId: string, rle: string, size: Size, signal: AbortSignal): Promise<string> {
    return this.#dependencies.reader.maskPng(rle, size, { owner: tenantId, signal });
  }

  #serve<T extends ServedTask>(
    caller: Caller,
    task: T,
    request: InferenceRequest,
    readingOf: ReadingOf<T>,
  ): Promise<Answer<Results[T]>> {
    const attributes = { 'fovea.tenant': caller.tenantId, 'fovea.images': request.images.length };
    return traced(caller.span, task.toLowerCase(), attributes, (span) =>
      this.#serveOne({ ...caller, span }, task, request, readingOf),
    );
  }

  async #serveOne<T extends ServedTask>(
    caller: Caller,
    task: T,
    request: InferenceRequest,
    readingOf: ReadingOf<T>,
  ): Promise<Answer<Results[T]>> {
    const { selection, concurrency, dispatcher } = this.#dependencies;
    const leave = await concurrency.enter(caller.tenantId, caller.concurrency);
    if (!leave) throw tooManyInFlight(caller);
    try {
      const chosen = await selection.choose(caller.tenantId, {
        ...request,
        task,
        latencyMs: (variantKey) => dispatcher.latencyMs(variantKey),
      });
      const { model, version, variant } = chosen;
      caller.span.set({
        'fovea.model': model,
        'fovea.version': version,
        'fovea.compression': variant.compression,
      });
      requireAllowed(caller, chosen);
      const place = dispatcher.admit({
        tenant: caller.tenantId,
        weight: caller.weight,
        variant: chosen.variant,
        images: request.images.length,
        fetched: request.images.filter((source) => 'url' in source).length,
        timeoutMs: request.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      });
      let ran = 0;
      try {
        const serving = new Serving(this.#dependencies, caller, task, request, chosen, readingOf, place);
        const answer = await serving.answer();
        const { images, cachedImages, replayed } = answer.receipt;
        // A replay, and what the cache had, took no device's time.
        if (!replayed) ran = images - cachedImages;
        for (const told of this.#onAnswered) told(answer.receipt);
        return answer;
      } finally {
        place.leave(ran);
      }
    } finally {
      leave();
    }
  }
}

function tooManyInFlight({ concurrency }: Pick<Caller, 'concurrency'>): ConcurrencyLimitedError {
  return new ConcurrencyLimitedError(
    `Your plan allows ${concurrency} inference requests in flight: wait for one to be answered.`,
    { retryAfterMs: 100 },
  );
}

/** Throws where the caller's credential is for other models alone: `name` allows every version of it, `name@2` that one. */
function requireAllowed({ models }: Caller, { model, version }: ChosenVariant): void {
  if (models === null || models.includes(model) || models.includes(`${model}@${version}`)) return;
  throw new ForbiddenError(
    `This credential may not use ${model}@${version}, but these alone: ${models.join(', ') || 'none'}.`,
  );
}
