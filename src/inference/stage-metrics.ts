import { Histogram, type Registry } from 'prom-client';
import type { Timings } from './request.ts';
import type { InferenceService } from './service.ts';

type Stage = readonly [name: string, read: (timings: Timings) => number];

const everyRequest: readonly Stage[] = [
  ['decode', ({ decodeMs }) => decodeMs],
  ['total', ({ totalMs }) => totalMs],
];
/** Of requests for which something was run: answers from the cache would hide how long that takes. */
const everyRun: readonly Stage[] = [
  ['queue', ({ queueMs }) => queueMs],
  ['inference', ({ inferenceMs }) => inferenceMs],
  ['postprocess', ({ postprocessMs }) => postprocessMs],
];

/** What receipts tell of the requests that were answered, replays aside. */
export function registerStageMetrics(
  registry: Registry,
  inference: Pick<InferenceService, 'onAnswered'>,
): void {
  const seconds = new Histogram({
    name: 'fovea_stage_seconds',
    help: 'The longest that an image of an answered request spent in a stage, and the request in total, as receipts tell.',
    labelNames: ['stage'],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
    registers: [registry],
  });
  const observersOf = (stages: readonly Stage[]) =>
    stages.map(([stage, read]) => {
      const histogram = seconds.labels({ stage });
      return (timings: Timings) => histogram.observe(read(timings) / 1_000);
    });
  const [always, ofRuns] = [observersOf(everyRequest), observersOf(everyRun)];
  inference.onAnswered(({ timings, device, replayed }) => {
    if (replayed) return;
    for (const observe of always) observe(timings);
    if (device !== 'cache') for (const observe of ofRuns) observe(timings);
  });
}
