import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { decodeImage } from '../../../src/inference/images/decode.ts';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { LocalWorker } from '../../../src/inference/pool/local-worker.ts';
import type { Compute } from '../../../src/inference/providers/provider.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { fitInput } from '../../../src/models/fit-input.ts';
import { describeGraph } from '../../../src/models/onnx/describe.ts';
import { readModel, writeModel } from '../../../src/models/onnx/model-file.ts';
import { wrapInput } from '../../../src/models/onnx/wrap-input.ts';
import { readManifest } from '../../../src/models/read-manifest.ts';
import { type ImportScene, openImportScene } from '../../models/import-scene.ts';
import {
  layOutPublished,
  oddDetector,
  publishedClassifiers,
  publishedSegmenters,
} from '../../support/manifests/published.ts';
import { readPicture } from '../../support/pictures.ts';
import { sharedData } from '../../support/shared-data.ts';
import { isThorough } from '../../support/thorough.ts';
import { variantOf } from '../../support/variants.ts';
import { needsVulkan, useVulkan, vulkan } from '../../support/vulkan.ts';

const quickClassifier = 'mobilenet_v1_0.5_160_uint8';
/** A driver that computes on the CPU takes seconds for what a GPU does in milliseconds: one picture for each model. */
const quick: readonly (readonly [model: string, photo: string])[] = [[quickClassifier, 'cat.bmp']];
const slow: typeof quick = [
  ...publishedClassifiers
    .filter((name) => name !== quickClassifier)
    .map((name) => [name, 'cat.bmp'] as const),
  [oddDetector, 'horse-cart.jpg'],
  ['ultraface_rfb_320', 'face.jpg'],
  ['yolox_nano_416', 'pets.jpg'],
  ...publishedSegmenters.map((name) => [name, 'bird_segmentation.bmp'] as const),
];
const cases = isThorough ? [...quick, ...slow] : quick;

describe.skipIf(vulkan === null || sharedData('models') === null || sharedData('photos') === null)(
  `WebGPU answers as the CPU does, to 1e-3 (${needsVulkan}; needs shared data: models, photos)`,
  () => {
    let scene: ImportScene;
    beforeAll(async () => {
      useVulkan();
      scene = await openImportScene();
    });
    afterAll(() => scene.close());

    it.each(cases)(
      '%s on %s',
      async (name, photo) => {
        // In batches of one: the warm-up of a larger one takes most of the time.
        const variant = { ...(await storedVariant(scene, name)), maxBatch: 1 };
        const [webgpu, cpu] = [startWorker(scene, 'webgpu'), startWorker(scene, 'cpu')];
        const input = await pixelsOf(sharedData(`photos/${photo}`)!, variant);
        const [found, wanted] = await Promise.all([webgpu.infer(variant, input), cpu.infer(variant, input)]);
        expect([found.device, wanted.device]).toEqual(['webgpu', 'cpu']);
        expect(found.outputs.map(({ shape }) => shape)).toEqual(wanted.outputs.map(({ shape }) => shape));
        for (const [index, output] of wanted.outputs.entries())
          expect(largestDifference(found.outputs[index]!, output), output.name).toBeLessThan(1e-3);
      },
      900_000,
    );
  },
);

function startWorker({ artifacts }: ImportScene, provider: Compute['providers'][number]): LocalWorker {
  const compute = { providers: [provider], deviceId: 0 };
  const worker = new LocalWorker(
    { artifacts: artifacts.dir, threads: 1, compute, inferTimeoutMs: 600_000 },
    createLogger('silent'),
  );
  onTestFinished(() => worker.close());
  return worker;
}

/** As an import stores it; warmed up with one picture. */
async function storedVariant(scene: ImportScene, name: string): Promise<Variant> {
  const laidOut = layOutPublished(name)!;
  try {
    if (name === oddDetector) return await wrapped(scene, laidOut.manifest);
    const model = await scene.import(laidOut.manifest);
    return { ...model.variants[0]!, maxBatch: 1 };
  } finally {
    laidOut.remove();
  }
}

/** What an import would store of a graph whose answers no head can read. */
async function wrapped({ artifacts }: ImportScene, manifestPath: string): Promise<Variant> {
  const { manifest, modelPath } = await readManifest(manifestPath);
  const model = readModel(readFileSync(modelPath));
  const { input, preprocessing } = fitInput(manifest.input, describeGraph(model).inputs, [])!;
  const tensor = wrapInput(model, input, preprocessing);
  const { width, height } = preprocessing;
  const variant = variantOf(manifest.name, await artifacts.put(writeModel(model)));
  return {
    ...variant,
    input: { ...variant.input, tensor, width, height },
    output: { kind: 'logits', tensor: describeGraph(model).outputs[0]!.name, background: null },
    maxBatch: 1,
  };
}

async function pixelsOf(path: string, { input }: Variant): Promise<Tensor> {
  const { base64 } = await readPicture(path);
  const { pixels } = await decodeImage(Buffer.from(base64, 'base64'), input);
  return { name: input.tensor, datatype: 'UINT8', shape: [1, input.height, input.width, 3], data: pixels };
}

function largestDifference(found: Tensor, wanted: Tensor): number {
  const [values, expected] = [found, wanted].map(({ datatype, data }) => elementsOf(datatype, data));
  let largest = 0;
  for (let index = 0; index < expected!.length; index++)
    largest = Math.max(largest, Math.abs(Number(values![index]) - Number(expected![index])));
  return largest;
}
