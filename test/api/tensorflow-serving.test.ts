import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { proofPictures } from '../../src/models/proof-pictures.ts';
import { modelFolder, tiny } from '../models/model-folder.ts';
import { importManifest, importMarker } from '../support/imported-models.ts';
import { python } from '../support/python.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { type ServingLike, startServingLike } from '../support/tensorflow-serving.ts';

const [width, height] = [32, 24];
const pictures = proofPictures(width, height);
const scaling = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** What Keras is asked directly, by the manifest's formula. */
function floats(): Float32Array {
  const { scale, mean, std } = scaling;
  return Float32Array.from(
    pictures.flatMap((picture) =>
      Array.from(picture, (level, at) => (level * scale - mean[at % 3]!) / std[at % 3]!),
    ),
  );
}

const png = async (pixels: Uint8Array, size: { width: number; height: number }) => ({
  base64: (
    await sharp(pixels, { raw: { ...size, channels: 3 } })
      .png()
      .toBuffer()
  ).toString('base64'),
});

const interpreter = python('tensorflow', 'tensorflow_serving', 'grpc');

let serving: ServingLike;
beforeAll(async () => {
  if (interpreter === null) return;
  const shape = [pictures.length, height, width, 3];
  serving = await startServingLike(interpreter, { shape, data: floats() });
}, 240_000);
afterAll(() => serving?.close());

describe.skipIf(interpreter === null).each(['grpc', 'rest'] as const)(
  'through TensorFlow Serving by %s (skipped without tensorflow-cpu and tensorflow-serving-api in Python)',
  (transport) => {
    let server: TestServer;
    const logged: string[] = [];
    beforeAll(async () => {
      const scheme = transport === 'grpc' ? 'tfserving+grpc' : 'tfserving+http';
      const logger = createLogger('warn', { write: (line) => logged.push(line) });
      server = await startServer(
        { FOVEA_WORKERS: `${scheme}://127.0.0.1:${serving[transport]}` },
        { logger },
      );
    });
    afterAll(() => server?.close());

    it('the API answers what Keras does when it is asked directly, and books it', async () => {
      // An ONNX model of that name, which takes its pictures another way and answers something else.
      const input = { name: 'input', type: 'FLOAT', shape: ['N', 3, height, width] } as const;
      const graph = { ...tiny, input: { ...tiny.input, ...input }, size: 3 * height * width };
      const manifest = { name: 'keras-net', input: { width, height, ...scaling } };
      await importManifest(modelFolder({ manifest, graph }), { server });

      const tenant = await server.createTenant();
      const images = await Promise.all(pictures.map((picture) => png(picture, { width, height })));
      const { data, errors } = await tenant.client.classify({ model: 'keras-net', images, topK: 4 });
      expect(errors).toEqual([]);
      expect(data!.classify.results).toHaveLength(pictures.length);
      data!.classify.results.forEach((result, index) => {
        if (result.__typename !== 'Classification') throw new Error(result.message);
        const shares = serving.predictions[index]!.map(Math.exp);
        const sum = shares.reduce((total, share) => total + share);
        expect(result.labels).toHaveLength(4);
        for (const { index: label, score } of result.labels)
          expect(Math.abs(score - shares[label]! / sum)).toBeLessThan(1e-4);
      });
      // Else every answer would do.
      expect(new Set(serving.predictions.map((row) => row.indexOf(Math.max(...row)))).size).toBeGreaterThan(
        1,
      );
      await server.expectExactLedger();
    });

    it('reads a large mask out of several outputs, of a model that takes one picture at a time', async () => {
      const size = { width: 224, height: 224 };
      await importMarker({ name: 'red-mask', head: 'mask-logits', size: 224 }, { server });
      const halfRed = Uint8Array.from({ length: 224 * 224 * 3 }, (_, at) =>
        Math.floor(at / 3) % 224 < 56 ? [250, 20, 10][at % 3]! : 90,
      );
      const image = await png(halfRed, size);
      const answer = await server.operator.segment({ model: 'red-mask', images: [image, image] });
      expect(answer.errors).toEqual([]);
      for (const result of answer.data!.segment.results)
        expect(result).toMatchObject({ segments: [{ label: 'marker', areaFraction: 0.25 }] });
    });

    it('says why it does not serve a model that is not there, or that answers nothing, and serves the others', async () => {
      await importMarker({ name: 'silent', head: 'mask-logits', size: 224 }, { server });
      const image = await png(pictures[0]!, { width, height });
      const silent = await server.operator.segment({ model: 'silent', images: image });
      expect(JSON.stringify(silent)).toContain('the fault is not in this image');
      expect(logged.join('')).toMatch(
        /'silent' version 1 is not the model .*it answers the outputs none; wanted 'logits'/,
      );
      expect(logged.join('')).toMatch(/Servable not found for request: Specific\(shapes, 1\)/);
      const { errors } = await server.operator.segment({ model: 'red-mask', images: image });
      expect(errors).toEqual([]);
    });
  },
);
