import { ConcurrencyLimitedError } from '../lib/errors.ts';
import type { ModelSelection } from './model-selection.ts';
import { elementsOf } from './oip/elements.ts';
import type {
  Caller,
  Classification,
  ClassifyAnswer,
  ClassifyRequest,
  FailedImage,
  InferenceRequest,
  Receipt,
} from './request.ts';
import { type ReadOutput, Serving, type ServingDependencies } from './serving.ts';
import { classify } from './tasks/classify.ts';
import { validateClassify } from './validate.ts';
import type { Task } from './variant.ts';

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

  classify(caller: Caller, request: ClassifyRequest): Promise<ClassifyAnswer> {
    validateClassify(request);
    return this.#serve<Classification>(caller, 'CLASSIFY', request, ({ outputs }, variant, size) => {
      const scores = outputs.find(({ name }) => name === variant.output.tensor)!;
      const row = elementsOf('FP32', scores.data);
      return {
        kind: 'classification',
        ...size,
        labels: classify(row, variant.output, variant.labels, request),
      };
    });
  }

  async #serve<Result>(
    caller: Caller,
    task: Task,
    request: InferenceRequest,
    read: ReadOutput<Result>,
  ): Promise<{ results: (Result | FailedImage)[]; receipt: Receipt }> {
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
        return await new Serving(this.#dependencies, caller, task, request, chosen, read).answer();
      } finally {
        giveBack();
      }
    } finally {
      leave();
    }
  }
}
