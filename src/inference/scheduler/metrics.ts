import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ShedReason } from './admission.ts';
import type { Dispatcher } from './dispatcher.ts';

/** All there are: a series that is there before anything happened shows the first time that it does. */
const shedReasons: readonly ShedReason[] = ['full', 'share', 'late'];

/** Models that are told apart; of those beyond, which a host of tenants may have, the sum is told. */
const MOST_MODELS = 100;

/** What waits, what is run, and what is not. Tenants are told apart nowhere: there may be any number. */
export function registerQueueMetrics(registry: Registry, dispatcher: Dispatcher): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(read());
      },
    });
  gauge('fovea_images_admitted', 'Images admitted and not yet answered.', () => dispatcher.admitted);
  gauge('fovea_images_queued', 'Decoded images that wait for a worker.', () => dispatcher.queueDepth);
  gauge('fovea_images_running', 'Images in the batches that workers have now.', () => dispatcher.running);
  registerPlanMetrics(registry, dispatcher);
  registerRefusals(registry, dispatcher);
  registerBatchMetrics(registry, dispatcher);
}

/** A plan that had images waiting once is told of from then on, with 0 where it has none. */
function registerPlanMetrics(registry: Registry, dispatcher: Dispatcher): void {
  const labelNames = ['plan'];
  const plans = new Set<string>();
  const perPlan = (
    name: string,
    help: string,
    read: (queue: { images: number; oldestMs: number }) => number,
  ) =>
    new Gauge({
      ...{ name, help, labelNames, registers: [registry] },
      collect() {
        const { queues } = dispatcher;
        for (const plan of queues.keys()) plans.add(plan);
        for (const plan of plans) this.set({ plan }, read(queues.get(plan) ?? { images: 0, oldestMs: 0 }));
      },
    });
  perPlan('fovea_queue_images', 'Decoded images that wait for a worker, by plan.', ({ images }) => images);
  perPlan(
    'fovea_queue_oldest_seconds',
    'How long the image that waits longest has waited, by plan.',
    ({ oldestMs }) => oldestMs / 1_000,
  );
}

function registerRefusals(registry: Registry, dispatcher: Dispatcher): void {
  const registers = [registry];
  new Counter({
    name: 'fovea_images_shed_total',
    help: 'Images refused before they were decoded: full (no place), share (its tenant has its share of them), late (it would miss its deadline).',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const reason of shedReasons) this.inc({ reason }, dispatcher.shed.get(reason) ?? 0);
    },
  });
  new Counter({
    name: 'fovea_images_expired_total',
    help: 'Images whose deadline passed while they waited for a worker.',
    registers,
    collect() {
      this.reset();
      this.inc(dispatcher.expired);
    },
  });
}

function registerBatchMetrics(registry: Registry, dispatcher: Dispatcher): void {
  const labelNames = ['model'];
  const registers = [registry];
  const sizes = new Histogram({
    name: 'fovea_batch_images',
    help: 'Images in the batches that were answered, as this process sent them, by model.',
    buckets: [1, 2, 4, 8, 16, 32, 64],
    ...{ labelNames, registers },
  });
  const times = new Histogram({
    name: 'fovea_engine_seconds',
    help: "A batch's time in the engine, there and back where the worker does not tell, by model.",
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
    ...{ labelNames, registers },
  });
  const models = new Map<string, { sizes: Histogram.Internal<string>; times: Histogram.Internal<string> }>();
  const ofModel = (name: string) => {
    let own = models.get(name);
    if (own) return own;
    const model = models.size < MOST_MODELS ? name : 'other';
    own = { sizes: sizes.labels({ model }), times: times.labels({ model }) };
    if (model === name) models.set(name, own);
    return own;
  };
  dispatcher.onBatch(({ chosen, images, engineMs }) => {
    const own = ofModel(chosen.model);
    own.sizes.observe(images);
    own.times.observe(engineMs / 1_000);
  });
}
