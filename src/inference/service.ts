import { ConcurrencyLimitedError } from '../lib/errors.ts';
import type { ModelSelection } from './model-selection.ts';
import type { Answer, Caller, Classification, ClassifyRequest, InferenceRequest } from './request.ts';
import { type ReadingOf, Serving, type ServingDependencies } from './serving.ts';
import type { Results, ServedTask } from './tasks/read-output.ts';
import { validateClassify } from './validate.ts';
import type { ClassifyOutput } from './variant.ts';

export interface InferenceDependencies extends ServingDependencies {
  readonly selection: ModelSelection;
  /** Inference requests in flight by tenant; null: one more is too many. */
  readonly concurrency: { enter(tenantId: string, limit: number): (() => void) | null };
}

/** The way of a request from its images to a booked answer: see «How one request flows» in ARCHITECTURE.md. */
export class InferenceService {
  readonly #dependencies: InferenceDependencies;

  constructor(dependencies: InferenceDependencies) {
    this.#dependencies = dependencies;
  }

  classify(caller: Caller, request: ClassifyRequest): Promise<Answer<Classification>> {
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

  async #serve<T extends ServedTask>(
    caller: Caller,
    task: T,
    request: InferenceRequest,
    readingOf: ReadingOf<T>,
  ): Promise<Answer<Results[T]>> {
    const { selection, concurrency, dispatcher } = this.#dependencies;
    const leave = concurrency.enter(caller.tenantId, caller.concurrency);
    if (!leave) {
      throw new ConcurrencyLimitedError(
        `Your plan allows ${caller.concurrency} inference requests in flight: wait for one to be answered.`,
        { retryAfterMs: 100 },
      );
    }
    try {
      const chosen = await selection.choose(caller.tenantId, {
        ...request,
        task,
        latencyMs: (variantKey) => dispatcher.latencyMs(variantKey),
      });
      const giveBack = dispatcher.admit(caller.tenantId, request.images.length);
      try {
        return await new Serving(this.#dependencies, caller, task, request, chosen, readingOf).answer();
      } finally {
        giveBack();
      }
    } finally {
      leave();
    }
  }
}
