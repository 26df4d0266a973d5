/** How often something was done, and how long that took in all, nanoseconds. */
export class Duration {
  count = 0;
  ns = 0;

  add(ms: number): void {
    this.count += 1;
    this.ns += Math.round(ms * 1e6);
  }
}

/** The parts of a request that was answered, milliseconds. */
export interface Times {
  /** From the whole body to the whole answer. */
  readonly wholeMs: number;
  readonly queueMs: number;
  /** Reading the message's tensors. */
  readonly inputMs: number;
  /** Inside the engine. */
  readonly computeMs: number;
  /** Writing the answer's tensors. */
  readonly outputMs: number;
}

class Computing {
  readonly input = new Duration();
  readonly infer = new Duration();
  readonly output = new Duration();

  add({ inputMs, computeMs, outputMs }: Times): void {
    this.input.add(inputMs);
    this.infer.add(computeMs);
    this.output.add(outputMs);
  }
}

/** Clients choose their batches: so many sizes are told apart, those beyond are counted in the sums alone. */
const MOST_BATCH_SIZES = 128;

/** What became of a model's requests since it was loaded: the one source of the statistics and of the metrics. */
export class ModelStatistics {
  readonly success = new Duration();
  readonly fail = new Duration();
  readonly queue = new Duration();
  readonly computing = new Computing();
  readonly byBatchSize = new Map<number, Computing>();
  /** Of one image each, in requests that succeeded. */
  inferences = 0;
  executions = 0;
  /** When the last request was made, milliseconds since 1970; 0: none was. */
  lastInferenceAt = 0;
  /** Requests that wait for their turn. */
  pending = 0;

  succeeded(batchSize: number, times: Times): void {
    this.#asked(times.wholeMs);
    this.success.add(times.wholeMs);
    this.queue.add(times.queueMs);
    this.computing.add(times);
    this.inferences += batchSize;
    this.executions += 1;
    let ofSize = this.byBatchSize.get(batchSize);
    if (!ofSize && this.byBatchSize.size < MOST_BATCH_SIZES) {
      ofSize = new Computing();
      this.byBatchSize.set(batchSize, ofSize);
    }
    ofSize?.add(times);
  }

  failed(wholeMs: number): void {
    this.#asked(wholeMs);
    this.fail.add(wholeMs);
  }

  #asked(msAgo: number): void {
    this.lastInferenceAt = Math.round(Date.now() - msAgo);
  }
}
