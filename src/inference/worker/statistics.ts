/** How often something was done, and how long that took in all, nanoseconds. */
export class Duration {
  count = 0;
  ns = 0;

  add(ms: number): void {
    this.count += 1;
    this.spend(ms);
  }

  /** What was counted took so much more. */
  spend(ms: number): void {
    this.ns += Math.round(ms * 1e6);
  }
}

/** A request that was answered: its images, the batch that it was run in, and its parts, milliseconds. */
export interface Answered {
  readonly images: number;
  readonly batchSize: number;
  /** From the whole body to the whole answer. */
  readonly wholeMs: number;
  readonly queueMs: number;
  /** Reading the message's tensors. */
  readonly inputMs: number;
  /** Inside the engine, as long as its whole batch was. */
  readonly computeMs: number;
  /** Writing the answer's tensors. */
  readonly outputMs: number;
}

class Computing {
  readonly input = new Duration();
  readonly infer = new Duration();
  readonly output = new Duration();
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
  /** Batches that were run, of however many requests. */
  executions = 0;
  /** When the last request was made, milliseconds since 1970; 0: none was. */
  lastInferenceAt = 0;
  /** Requests that wait for their turn. */
  pending = 0;

  /** Somebody waits for a turn until `end` is called, which may be called again; `ms`: how long that was. */
  wait(): { readonly end: () => void; readonly ms: number } {
    const since = performance.now();
    let waitedMs: number | null = null;
    this.pending += 1;
    return {
      end: () => {
        if (waitedMs !== null) return;
        waitedMs = performance.now() - since;
        this.pending -= 1;
      },
      get ms() {
        return waitedMs ?? performance.now() - since;
      },
    };
  }

  /** A batch was run. */
  ran(batchSize: number, computeMs: number): void {
    this.executions += 1;
    let ofSize = this.byBatchSize.get(batchSize);
    if (!ofSize) {
      if (this.byBatchSize.size >= MOST_BATCH_SIZES) return;
      ofSize = new Computing();
      this.byBatchSize.set(batchSize, ofSize);
    }
    ofSize.infer.add(computeMs);
    // Their time is that of its requests, each once it has been answered.
    ofSize.input.count += 1;
    ofSize.output.count += 1;
  }

  succeeded({ images, batchSize, wholeMs, queueMs, inputMs, computeMs, outputMs }: Answered): void {
    this.#asked(wholeMs);
    this.success.add(wholeMs);
    this.queue.add(queueMs);
    this.computing.input.add(inputMs);
    this.computing.infer.add(computeMs);
    this.computing.output.add(outputMs);
    this.inferences += images;
    const ofBatch = this.byBatchSize.get(batchSize);
    ofBatch?.input.spend(inputMs);
    ofBatch?.output.spend(outputMs);
  }

  failed(wholeMs: number): void {
    this.#asked(wholeMs);
    this.fail.add(wholeMs);
  }

  #asked(msAgo: number): void {
    this.lastInferenceAt = Math.round(Date.now() - msAgo);
  }
}
