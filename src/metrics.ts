import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { InferenceWorker } from './inference/pool/worker.ts';
import type { Dispatcher } from './inference/scheduler/dispatcher.ts';

/** What `/metrics` tells of this process and the pool, read when it is asked for. The transport adds its own. */
export function createMetrics(dispatcher: Dispatcher, workers: readonly InferenceWorker[]): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];

  new Gauge({
    name: 'fovea_images_admitted',
    help: 'Images admitted and not yet answered.',
    registers,
    collect() {
      this.set(dispatcher.admitted);
    },
  });
  new Gauge({
    name: 'fovea_images_queued',
    help: 'Decoded images that wait for a worker.',
    registers,
    collect() {
      this.set(dispatcher.queueDepth);
    },
  });
  new Gauge({
    name: 'fovea_images_running',
    help: 'Images in the batches that workers have now.',
    registers,
    collect() {
      this.set(dispatcher.running);
    },
  });
  const perWorker = (name: string, help: string, read: (worker: InferenceWorker) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ['worker'],
      registers,
      collect() {
        workers.forEach((worker, index) => {
          const value = read(worker);
          if (value === null) this.remove({ worker: index });
          else this.set({ worker: index }, value);
        });
      },
    });
  perWorker('fovea_worker_ready', '1 where the worker answers, 0 where it does not.', ({ ready }) =>
    Number(ready),
  );
  perWorker(
    'fovea_worker_resident_bytes',
    'Resident memory of a worker of this machine.',
    (worker) => worker.stats().rssBytes,
  );
  new Counter({
    name: 'fovea_worker_restarts_total',
    help: 'How often a lost worker was replaced or came back.',
    labelNames: ['worker'],
    registers,
    collect() {
      this.reset();
      workers.forEach((worker, index) => {
        this.inc({ worker: index }, worker.stats().restarts);
      });
    },
  });
  return registry;
}
