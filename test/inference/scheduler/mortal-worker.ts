import { setTimeout as sleep } from 'node:timers/promises';
import { WorkerLostError } from '../../../src/inference/oip/errors.ts';
import type { BatchOutput } from '../../../src/inference/pool/worker.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { PaperWorker } from './paper-worker.ts';

/** In the first byte of a picture: the process ends that runs it. */
export const POISON = 66;

/** A worker whose process ends under pictures that are poison, and whenever it is told to; a fresh one is there soon after. */
export class MortalWorker extends PaperWorker {
  /** What it was given, the first byte of each picture. */
  readonly batches: number[][] = [];
  /** How many other batches it had when it was given poison. */
  readonly besidePoison: number[] = [];
  deaths = 0;
  readonly #msPerImage: number;
  readonly #awayMs: number;
  readonly #lost = new Set<(error: Error) => void>();

  constructor(name: string, capacity: number, { msPerImage = 1, awayMs = 5 } = {}) {
    super(name, capacity);
    this.#msPerImage = msPerImage;
    this.#awayMs = awayMs;
  }

  override async infer(_variant: Variant, { data, shape }: Tensor): Promise<BatchOutput> {
    if (!this.ready) throw new WorkerLostError('it is not there');
    const images = shape[0]!;
    const first = Array.from({ length: images }, (_, image) => data[(image * data.length) / images]!);
    this.batches.push(first);
    if (first.includes(POISON)) this.besidePoison.push(this.#lost.size);
    const { promise, reject } = Promise.withResolvers<never>();
    this.#lost.add(reject);
    try {
      await Promise.race([promise, sleep(this.#msPerImage * images)]);
    } finally {
      this.#lost.delete(reject);
    }
    if (first.includes(POISON)) {
      this.kill();
      throw new WorkerLostError('it ended under poison');
    }
    const means = new Uint8Array(Float32Array.from(first).buffer);
    const outputs: Tensor[] = [{ name: 'means', datatype: 'FP32', shape: [images, 1], data: means }];
    const computeMs = this.#msPerImage * images;
    return { outputs, queueMs: 0, computeMs, batchSize: images, device: 'paper' };
  }

  /** Ends its process, with all that it has. */
  kill(): void {
    if (!this.ready) return;
    this.ready = false;
    this.deaths += 1;
    for (const lost of this.#lost) lost(new WorkerLostError('it was ended'));
    setTimeout(() => this.becomeReady(), this.#awayMs);
  }
}
