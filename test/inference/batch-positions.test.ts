import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Random, randomFrom } from '../../models/shapes/generator/random.ts';
import type { InferenceWorker } from '../../src/inference/pool/worker.ts';
import type { Variant } from '../../src/inference/variant.ts';
import type { ServedModel } from '../../src/models/registry.ts';
import { FoveaWorker } from '../support/fovea-worker.ts';
import { importManifest, importPublished } from '../support/imported-models.ts';
import {
  publishedClassifiers,
  publishedDetectors,
  publishedSegmenters,
} from '../support/manifests/published.ts';
import { connectTo } from '../support/remote-worker.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedData } from '../support/shared-data.ts';
import { importTfjs } from '../support/tfjs-models.ts';
import { isThorough } from '../support/thorough.ts';

/** Images for each model and number of threads, rounded up to whole batches. Each is run some five times (quickly some three), thoroughly some forty. */
const IMAGES = Number(process.env.FOVEA_TEST_BATCH_IMAGES || 1);
/** In batches of three sizes alone: the least, the largest, and one that fills no vector of the processor's. */
const isQuick = !process.env.FOVEA_TEST_BATCH_IMAGES && !isThorough;

/** Each by what imports it. The other models of TensorFlow.js that the shared data has take one image at a time. */
const models: Record<string, () => Promise<ServedModel>> = {};
for (const name of ['shapes', 'shapes-detect', 'shapes-segment']) {
  const manifest = resolve(import.meta.dirname, `../../models/${name}/manifest.json`);
  models[name] = () => importManifest(manifest, { server });
}
if (sharedData('models')) {
  for (const name of [...publishedClassifiers, ...publishedDetectors, ...publishedSegmenters])
    models[name] = () => importPublished(name, { server });
}
if (sharedData('models-tfjs')) models['emotion, on WebAssembly'] = () => importTfjs('emotion', { server });

let server: TestServer;
const imported = new Map<string, Variant>();
beforeAll(async () => {
  server = await startServer();
  for (const [name, run] of Object.entries(models)) imported.set(name, (await run()).variants[0]!);
}, 240_000);
afterAll(() => server?.close());

const ends: (() => void)[] = [];
afterAll(() => {
  for (const end of ends) end();
});

// With one thread the engine divides nothing, which the quick run leaves out; with several, what each gets hangs on the batch. More
// than there are cores is no hindrance.
describe.each(isQuick ? [2] : [1, 2])('on the CPU with %i thread(s) for its worker', (threads) => {
  let worker: FoveaWorker;
  beforeAll(async () => {
    worker = await FoveaWorker.start({ threads, atEnd: (end) => ends.push(end) });
  }, 60_000);

  it.each(Object.keys(models))(
    '%s answers bit for bit the same to images alone and in every position of a batch',
    async (name) => {
      const variant = imported.get(name)!;
      const { maxBatch } = variant;
      expect(maxBatch).toBeGreaterThan(1);
      const connection = connectTo(worker.address, { artifacts: `${server.dataDir}/artifacts` });
      const random = randomFrom(threads);
      for (let batch = 0; batch * maxBatch < IMAGES; batch++) {
        const images = Array.from({ length: maxBatch }, () => draw(variant, random));
        const turns = isThorough ? Array.from(images.keys()) : [batch % maxBatch];
        expect(await strayAnswers(connection, variant, images, turns)).toEqual([]);
      }
    },
    24 * 3_600_000,
  );
});

/**
 * Where an image of a batch is answered otherwise than alone. For each size of a batch as many take part as it holds, from the one
 * on whose turn it is: with all turns each image is once in each of its places.
 */
async function strayAnswers(
  worker: InferenceWorker,
  variant: Variant,
  images: readonly Uint8Array[],
  turns: readonly number[],
): Promise<string[]> {
  const alone: Buffer[] = [];
  for (const image of images) alone.push(...(await answers(worker, variant, [image])));
  const strays: string[] = [];
  for (let size = 2; size <= images.length; size++) {
    if (isQuick && ![2, 5, images.length].includes(size)) continue;
    for (const turn of turns) {
      const order = Array.from({ length: size }, (_, place) => (turn + place) % images.length);
      const found = await answers(
        worker,
        variant,
        order.map((image) => images[image]!),
      );
      for (const [place, image] of order.entries()) {
        if (!found[place]!.equals(alone[image]!)) strays.push(`image ${image} at ${place} of ${size}`);
      }
    }
  }
  return strays;
}

/** The bytes of all tensors that the variant is read by, an image each. */
async function answers(
  worker: InferenceWorker,
  { input, ...variant }: Variant,
  images: readonly Uint8Array[],
): Promise<Buffer[]> {
  const { tensor: name, width, height } = input;
  const shape = [images.length, height, width, 3];
  const pixels = { name, datatype: 'UINT8', shape, data: Buffer.concat(images) } as const;
  const { outputs } = await worker.infer({ input, ...variant }, pixels);
  return images.map((_, image) =>
    Buffer.concat(
      outputs.map(({ data }) => {
        const bytes = data.byteLength / images.length;
        return data.subarray(image * bytes, (image + 1) * bytes);
      }),
    ),
  );
}

/** Plain boxes on a plain ground, under noise: flat places and edges, dark and bright, as photographs have. */
function draw({ input: { width, height } }: Variant, random: Random): Uint8Array {
  const pixels = new Uint8Array(width * height * 3);
  const colour = () => [random.below(256), random.below(256), random.below(256)] as const;
  const fill = (left: number, top: number, right: number, bottom: number) => {
    const hue = colour();
    for (let y = top; y < bottom; y++)
      for (let x = left; x < right; x++) pixels.set(hue, (y * width + x) * 3);
  };
  fill(0, 0, width, height);
  for (let boxes = random.below(8); boxes > 0; boxes--) {
    const [left, top] = [random.below(width), random.below(height)];
    fill(left, top, left + random.below(width - left) + 1, top + random.below(height - top) + 1);
  }
  const noise = random.below(64) + 1;
  for (let at = 0; at < pixels.length; at++) {
    pixels[at] = Math.max(0, Math.min(255, pixels[at]! + random.below(noise) - noise / 2));
  }
  return pixels;
}
