import { percentile } from './figures.ts';
import type { Sample, SampledReceipt } from './stream.ts';

/**
 * Where an answered request's time went, milliseconds, from when it was due to when it was answered; the parts add up.
 *
 * - `late`: the generator's own.
 * - `decode`, `queue`, `inference`, `postprocess`: as the receipt has them.
 * - `waits`: what else the receipt's total has, which is waiting for a thread to decode on, for the units' reservation, and the
 *   way to the worker and back.
 * - `commitAndTransport`: what the receipt's total does not have: the body's way in, the booking, the answer's way out.
 */
export interface Stages {
  readonly late: number;
  readonly decode: number;
  readonly queue: number;
  readonly inference: number;
  readonly postprocess: number;
  readonly waits: number;
  readonly commitAndTransport: number;
}

type Answered = Sample & { readonly receipt: SampledReceipt };

export function withReceipt(samples: readonly Sample[]): Answered[] {
  return samples.filter(
    (sample): sample is Answered => sample.outcome === 'ANSWERED' && sample.receipt !== null,
  );
}

export function stagesOf({ dueAt, sentAt, doneAt, receipt }: Answered): Stages {
  const { totalMs, decodeMs, queueMs, inferenceMs, postprocessMs } = receipt;
  return {
    late: sentAt - dueAt,
    decode: decodeMs,
    queue: queueMs,
    inference: inferenceMs,
    postprocess: postprocessMs,
    waits: totalMs - decodeMs - queueMs - inferenceMs - postprocessMs,
    commitAndTransport: doneAt - sentAt - totalMs,
  };
}

/** What the service adds to decoding and computing: all else that its client waits for once the request is sent. */
export function overheadOf({ sentAt, doneAt, receipt }: Answered): number {
  return doneAt - sentAt - receipt.decodeMs - receipt.inferenceMs;
}

/** Each stage by itself: percentiles do not add up. */
export function percentileOfStages(samples: readonly Sample[], percent: number): Stages {
  const stages = withReceipt(samples).map(stagesOf);
  const of = (name: keyof Stages) =>
    percentile(
      stages.map((each) => each[name]),
      percent,
    );
  return {
    late: of('late'),
    decode: of('decode'),
    queue: of('queue'),
    inference: of('inference'),
    postprocess: of('postprocess'),
    waits: of('waits'),
    commitAndTransport: of('commitAndTransport'),
  };
}
