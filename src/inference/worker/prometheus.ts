import { Counter, Gauge, Registry } from 'prom-client';
import type { RequestAdmission } from './http/request-admission.ts';
import type { WorkerModels } from './models.ts';
import type { ServedModels } from './served-models.ts';
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

/** The models' statistics for Prometheus, by Triton's names, and the memory, by ours; read when they are asked for. */
export function createMetrics(
  models: ServedModels,
  own: WorkerModels | null,
  admission: RequestAdmission,
): Registry {
  const registry = new Registry();
  const registers = [registry];
  const labelNames = ['model', 'version'];
  for (const [name, help, read] of counters) {
    new Counter({
      name: `nv_inference_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [model, of] of models.statistics())
          this.inc({ model, version: '1' }, Math.round(read(of)));
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
      for (const [model, of] of models.statistics()) this.set({ model, version: '1' }, of.pending);
    },
  });
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  counter(
    'fovea_requests_refused_total',
    'Inference requests that were told to ask again later.',
    () => admission.refused,
  );
  if (own !== null) addMemory(registry, own, counter);
  return registry;
}

function addMemory(
  registry: Registry,
  models: WorkerModels,
  counter: (name: string, help: string, read: () => number) => void,
): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('fovea_memory_budget_bytes', 'What the process may take.', () => models.memory().budgetBytes);
  gauge('fovea_memory_resident_bytes', 'What it takes.', () => models.memory().residentBytes);
  gauge(
    'fovea_memory_exceeded',
    '1 where it takes more than it may with nothing left to unload, else 0.',
    () => Number(models.memory().isExceeded),
  );
  new Gauge({
    name: 'fovea_model_memory_bytes',
    help: 'What a model takes of the memory, as it was measured when it was loaded.',
    labelNames: ['model'],
    registers,
    collect() {
      this.reset();
      for (const { name: model, bytes } of models.memory().models) this.set({ model }, bytes);
    },
  });
  counter('fovea_models_unloaded_total', 'Models unloaded for want of memory.', () => models.unloads);
}
