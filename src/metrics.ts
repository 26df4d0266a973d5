import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { registerCacheMetrics } from './inference/cache/metrics.ts';
import type { ResultCache } from './inference/cache/result-cache.ts';
import type { ModelHealth, VariantHealth } from './inference/model-health.ts';
import type { WorkerPool } from './inference/pool/pool.ts';
import { registerQuarantineMetrics } from './inference/pool/quarantine-metrics.ts';
import type { InferenceWorker } from './inference/pool/worker.ts';
import type { Dispatcher } from './inference/scheduler/dispatcher.ts';
import { registerQueueMetrics } from './inference/scheduler/metrics.ts';
import type { InferenceService } from './inference/service.ts';
import { registerStageMetrics } from './inference/stage-metrics.ts';
import type { Tracer } from './lib/tracing/tracer.ts';
import type { Limits } from './tenants/limits.ts';

/** `suspect`: it is silent for far longer than its batch should take, or lives and answers nothing. */
const workerStates = ['starting', 'ready', 'suspect', 'ejected', 'closed'] as const;
type WorkerState = (typeof workerStates)[number];

/** What `/metrics` is about. */
export interface Metered {
  readonly inference: Pick<InferenceService, 'onAnswered'>;
  readonly dispatcher: Dispatcher;
  readonly pool: WorkerPool;
  readonly health: ModelHealth;
  /** null: there is none. */
  readonly cache: ResultCache | null;
  readonly tracer: Tracer;
  readonly limits: Pick<Limits, 'areShared'>;
}

/** What `/metrics` tells of this process and the pool, read when it is asked for. The transport adds its own. */
export function createMetrics({
  inference,
  dispatcher,
  pool,
  health,
  cache,
  tracer,
  limits,
}: Metered): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];

  if (limits.areShared !== null) {
    new Gauge({
      name: 'fovea_limits_shared',
      help: '1 where limits are shared with other processes, 0 while Redis is away.',
      registers,
      collect() {
        this.set(Number(limits.areShared));
      },
    });
  }
  registerQueueMetrics(registry, dispatcher);
  registerStageMetrics(registry, inference);
  const perWorker = (name: string, help: string, read: (worker: InferenceWorker) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['worker'],
      registers,
      collect() {
        this.reset();
        for (const worker of pool.workers) {
          const value = read(worker);
          if (value !== null) this.set({ worker: worker.name }, value);
        }
      },
    });
  const stateOf = (worker: InferenceWorker): WorkerState => {
    const { state } = worker.stats();
    const { isSuspect, isMute } = dispatcher.laneOf(worker);
    return state === 'ready' && (isSuspect || isMute) ? 'suspect' : state;
  };
  perWorker('fovea_worker_ready', '1 where the worker is given work, 0 where it is not.', (worker) =>
    Number(worker.stats().state === 'ready' && !dispatcher.laneOf(worker).isSuspect),
  );
  new Gauge({
    name: 'fovea_worker_state',
    help: '1 for the state the worker is in, 0 for the others.',
    labelNames: ['worker', 'state'],
    registers,
    collect() {
      this.reset();
      for (const worker of pool.workers) {
        const found = stateOf(worker);
        for (const state of workerStates) this.set({ worker: worker.name, state }, Number(state === found));
      }
    },
  });
  perWorker(
    'fovea_worker_batches_running',
    'Batches that the worker has now.',
    (worker) => dispatcher.laneOf(worker).flights.size,
  );
  perWorker(
    'fovea_worker_resident_bytes',
    'Resident memory of a worker, where it is of this machine or tells.',
    (worker) => {
      const { rssBytes, memory } = worker.stats();
      return rssBytes ?? memory?.residentBytes ?? null;
    },
  );
  perWorker(
    'fovea_worker_memory_budget_bytes',
    'Resident memory that a worker may take, where it tells.',
    (worker) => worker.stats().memory?.budgetBytes ?? null,
  );
  perWorker(
    'fovea_worker_models_bytes',
    'What the models in a worker take of its memory, whoever had them loaded, where it tells.',
    (worker) => {
      const { memory } = worker.stats();
      return memory && [...memory.models.values()].reduce((sum, bytes) => sum + bytes, 0);
    },
  );
  perWorker(
    'fovea_worker_variants',
    'Model variants that the worker holds for this process.',
    (worker) => worker.stats().variants,
  );
  new Gauge({
    name: 'fovea_worker_info',
    help: 'Always 1: what a worker computes on, as its last batch told.',
    labelNames: ['worker', 'device'],
    registers,
    collect() {
      this.reset();
      for (const worker of pool.workers) {
        const { device } = worker.stats();
        if (device !== null) this.set({ worker: worker.name, device }, 1);
      }
    },
  });
  const countPerWorker = (name: string, help: string, read: (worker: InferenceWorker) => number) =>
    new Counter({
      name,
      help,
      labelNames: ['worker'],
      registers,
      collect() {
        this.reset();
        for (const worker of pool.workers) this.inc({ worker: worker.name }, read(worker));
      },
    });
  countPerWorker(
    'fovea_worker_batches_total',
    'Batches that the worker answered, be it by an error.',
    (worker) => dispatcher.laneOf(worker).answers,
  );
  countPerWorker(
    'fovea_worker_restarts_total',
    'How often a lost worker was replaced or came back.',
    (worker) => worker.stats().restarts,
  );
  countPerWorker(
    'fovea_worker_recycled_total',
    'How often a worker that took more memory than it may was replaced while it went on.',
    (worker) => worker.stats().recycled,
  );
  registerQuarantineMetrics(registry, pool.quarantine);
  new Counter({
    name: 'fovea_worker_faults_total',
    help: 'How often a worker answered what it must not, or nothing, by reason.',
    labelNames: ['worker', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const worker of pool.workers) {
        for (const [reason, count] of worker.stats().faults) this.inc({ worker: worker.name, reason }, count);
      }
    },
  });
  const variantLabels = ['model', 'version', 'compression'] as const;
  const labelsOf = ({ model, version, compression }: VariantHealth) => ({ model, version, compression });
  new Counter({
    name: 'fovea_inference_failures_total',
    help: 'How often a model failed on an image: it could not be loaded or run, its worker was lost, its answer is unreadable.',
    labelNames: [...variantLabels, 'reason'],
    registers,
    collect() {
      this.reset();
      for (const variant of health.list()) {
        for (const [reason, count] of variant.failures) this.inc({ ...labelsOf(variant), reason }, count);
      }
    },
  });
  new Gauge({
    name: 'fovea_variant_flagged',
    help: '1 while a variant that answered what cannot be read has not answered a hundred readable ones in a row since.',
    labelNames: variantLabels,
    registers,
    collect() {
      // Private models of two tenants may have the same labels: flagged ones last, so that none is hidden by another.
      const variants = health.list().sort((a, b) => Number(a.flagged) - Number(b.flagged));
      for (const variant of variants) this.set(labelsOf(variant), Number(variant.flagged));
    },
  });
  registerCacheMetrics(registry, cache);
  if (tracer.counts() !== null) {
    new Counter({
      name: 'fovea_trace_spans_total',
      help: 'Spans of traces by what became of them: exported, dropped (too many waited), failed (the collector did not take them).',
      labelNames: ['outcome'],
      registers,
      collect() {
        this.reset();
        for (const [outcome, count] of Object.entries(tracer.counts() ?? {})) this.inc({ outcome }, count);
      },
    });
  }
  return registry;
}
