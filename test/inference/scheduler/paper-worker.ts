import type { BatchOutput, InferenceWorker, WorkerStats } from '../../../src/inference/pool/worker.ts';
import { type QueuedImage, untried } from '../../../src/inference/scheduler/batch.ts';
import { Lane } from '../../../src/inference/scheduler/lane.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { noSpan } from '../../../src/lib/tracing/span.ts';
import { variantOf } from '../../support/variants.ts';

/** What is told of a worker that runs nothing: for tests of who is chosen, on a clock that they turn. */
export class PaperWorker implements InferenceWorker {
  readonly name: string;
  readonly capacity: number;
  ready = true;
  isShared = false;
  loads = { begun: 0, underWay: false };
  readonly held = new Set(['v']);
  readonly refused = new Set<string>();
  /** What it held when it went away. */
  readonly awaited = new Set<string>();
  freeBytes: number | null = null;
  isSilent = false;
  device: string | null = null;
  readonly #onReady: (() => void)[] = [];
  readonly #onAlive: (() => void)[] = [];

  constructor(name = 'paper', capacity = 2) {
    this.name = name;
    this.capacity = capacity;
  }

  holds(variantKey: string): boolean {
    return this.held.has(variantKey);
  }

  refuses(variantKey: string): boolean {
    return this.refused.has(variantKey);
  }

  heldLately(variantKey: string): boolean {
    return this.awaited.has(variantKey);
  }

  onReady(callback: () => void): void {
    this.#onReady.push(callback);
  }

  becomeReady(): void {
    this.ready = true;
    for (const callback of this.#onReady) callback();
  }

  onAlive(callback: () => void): void {
    this.#onAlive.push(callback);
  }

  showLife(): void {
    for (const callback of this.#onAlive) callback();
  }

  infer(_variant: Variant, _pixels: Tensor): Promise<BatchOutput> {
    return Promise.reject(new Error('it runs nothing'));
  }

  ensureLoaded(): Promise<never> {
    return Promise.reject(new Error('it loads nothing'));
  }

  stats(): WorkerStats {
    return {
      ...{ state: this.ready ? 'ready' : 'starting', restarts: 0, faults: new Map(), variants: 1 },
      ...{ pid: null, rssBytes: null, device: this.device, recycled: 0, memory: null },
    };
  }

  judged(): void {}
  async close(): Promise<void> {}
  killNow(): void {}
}

/** A lane whose worker has been measured: so many milliseconds an image, long ago in its own terms. */
export function laneAt(msPerImage: number | null, worker = new PaperWorker()): Lane {
  const lane = new Lane(worker);
  if (msPerImage !== null) {
    for (const images of [1, 4])
      lane.speed.learn('v', images, msPerImage * images, { elapsed: 0, batches: 0 });
  }
  return lane;
}

export function paperImages(count: number): QueuedImage[] {
  const chosen = { model: 'paper', version: 1, variant: variantOf('v', 'a'.repeat(64)) };
  return Array.from({ length: count }, () => ({
    ...{
      chosen,
      pixels: new Uint8Array(12),
      queuedAt: 0,
      waiting: noSpan,
      carriers: new Set<Lane>(),
      avoided: new Set<Lane>(),
    },
    ...untried,
    ...{ alone: false, resolve: () => {}, reject: () => {} },
    ticket: {
      ...{
        tenant: 'tenant',
        weight: 1,
        plan: 'Paper',
        priority: 'INTERACTIVE' as const,
        deadline: Number.POSITIVE_INFINITY,
      },
      ...{ abandoned: new AbortController().signal, span: noSpan, dispatched: false },
    },
  }));
}
