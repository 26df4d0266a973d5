import { Counter, Gauge, Registry } from 'prom-client';
import type { ModelStatistics } from './statistics.ts';

const counters: readonly [name: string, help: string, read: (of: ModelStatistics) => number][] = [
  ['request_success', 'Requests that were answered.', ({ success }) => success.count],
  [
    'request_failure',
    'Requests that failed, bad ones and those whose time ran out included.',
    ({ fail }) => fail.count,
  ],
  ['count', 'Images answered, or what else a batch is of.', ({ inferences }) => inferences],
  ['exec_count', 'Runs of the model.', ({ executions }) => executions],
  [
    'request_duration_us',
    'From the whole request to the whole answer, in sum.',
    ({ success }) => success.ns / 1e3,
  ],
  ['queue_duration_us', 'Waiting for a turn, in sum.', ({ queue }) => queue.ns / 1e3],
  [
    'compute_input_duration_us',
    "Reading requests' tensors, in sum.",
    ({ computing }) => computing.input.ns / 1e3,
  ],
  ['compute_infer_duration_us', 'Inside the engine, in sum.', ({ computing }) => computing.infer.ns / 1e3],
  [
    'compute_output_duration_us',
    "Writing answers' tensors, in sum.",
    ({ computing }) => computing.output.ns / 1e3,
  ],
];

/** The models' statistics for Prometheus, by Triton's names, read when they are asked for. */
export function createMetrics(statistics: () => Iterable<[model: string, of: ModelStatistics]>): Registry {
  const registers = [new Registry()];
  const labelNames = ['model', 'version'];
  for (const [name, help, read] of counters) {
    new Counter({
      name: `nv_inference_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [model, of] of statistics()) this.inc({ model, version: '1' }, Math.round(read(of)));
      },
    });
  }
  new Gauge({
    name: 'nv_inference_pending_request_count',
    help: 'Requests that wait for their turn.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [model, of] of statistics()) this.set({ model, version: '1' }, of.pending);
    },
  });
  return registers[0] as Registry;
}
