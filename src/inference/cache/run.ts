/** What a model's run on one image came to. */
export interface Computed<Result> {
  readonly result: Result;
  readonly device: string;
  readonly batchSize: number;
  readonly queueMs: number;
  /** Of the whole batch. */
  readonly inferenceMs: number;
  readonly postprocessMs: number;
}

/**
 * A run that several requests may be answered from. The first of them that is booked pays the full price, whichever of them
 * began it: a request that is dropped unbilled after it was run for must not have paid for the others.
 */
export class Run<Result> {
  readonly computed: Computed<Result>;
  #isPaid = false;

  constructor(computed: Computed<Result>) {
    this.computed = computed;
  }

  /** True: whoever asks is the one to pay. */
  claim(): boolean {
    if (this.#isPaid) return false;
    this.#isPaid = true;
    return true;
  }

  /** Whoever claimed it was not booked. */
  unclaim(): void {
    this.#isPaid = false;
  }
}
