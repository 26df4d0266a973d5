import { availableParallelism } from 'node:os';
import { LocalWorker } from '../../src/inference/pool/local-worker.ts';
import type { Provider } from '../../src/inference/providers/provider.ts';
import type { Tensor } from '../../src/inference/tensor.ts';
import type { Variant } from '../../src/inference/variant.ts';
import { distance } from '../../src/inference/worker/engines/onnx/distance.ts';
import { createLogger } from '../../src/lib/logger.ts';

/** A run may take minutes where a driver computes on the CPU. */
const PATIENCE_MS = 600_000;
const BATCHES = [1, 2, 4, 8, 16, 32];

/** Lends `work` a worker on the first device of a provider, as the service has them. */
export async function onProvider<T>(
  artifacts: string,
  provider: Provider,
  work: (worker: LocalWorker) => Promise<T>,
): Promise<T> {
  const compute = { providers: [provider], deviceId: 0 };
  const worker = new LocalWorker(
    { artifacts, threads: availableParallelism(), compute, inferTimeoutMs: PATIENCE_MS },
    createLogger('warn'),
  );
  try {
    return await work(worker);
  } finally {
    await worker.close();
  }
}

export interface Agreement {
  readonly device: string;
  readonly pictures: number;
  /** The largest distance of an output from the CPU's, in shares of its largest number; null: what is no number. */
  readonly distance: number | null;
}

/** Asks both workers about each picture. */
export async function compare(
  worker: LocalWorker,
  cpu: LocalWorker,
  variant: Variant,
  pictures: readonly Uint8Array[],
): Promise<Agreement> {
  let device = '';
  const distances: number[] = [];
  for (const picture of pictures) {
    const pixels = batchOf(variant, [picture]);
    const found = await worker.infer(variant, pixels);
    const wanted = await cpu.infer(variant, pixels);
    device = found.device;
    distances.push(...found.outputs.map((output, index) => distance(output, wanted.outputs[index]!)));
  }
  const largest = Math.max(...distances);
  return { device, pictures: pictures.length, distance: Number.isNaN(largest) ? null : largest };
}

export interface Rate {
  readonly batch: number;
  /** By the engine's own time. */
  readonly imagesPerSecond: number;
  /** With the way to the worker and back. */
  readonly overTheWire: number;
}

/** How fast batches of each size are answered, one after the other; larger ones are left out once one takes too long. */
export async function measureBatches(
  worker: LocalWorker,
  variant: Variant,
  pictures: readonly Uint8Array[],
  seconds: number,
): Promise<Rate[]> {
  const rates: Rate[] = [];
  for (const batch of variant.maxBatch === 1 ? [1] : BATCHES) {
    const picked = Array.from({ length: batch }, (_, index) => pictures[index % pictures.length]!);
    const pixels = batchOf(variant, picked);
    await worker.infer(variant, pixels); // Its shape is new to the device.
    const started = performance.now();
    const elapsed = () => (performance.now() - started) / 1000;
    let [runs, computeMs] = [0, 0];
    do {
      computeMs += (await worker.infer(variant, pixels)).computeMs;
      runs += 1;
    } while (elapsed() < seconds);
    const images = runs * batch;
    rates.push({ batch, imagesPerSecond: (images / computeMs) * 1000, overTheWire: images / elapsed() });
    if (elapsed() > 4 * seconds) break;
  }
  return rates;
}

function batchOf({ input }: Variant, pictures: readonly Uint8Array[]): Tensor {
  const shape = [pictures.length, input.height, input.width, 3];
  return { name: input.tensor, datatype: 'UINT8', shape, data: Buffer.concat(pictures) };
}
