import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { readBitmap } from '../support/bitmap.ts';
import type { DetectionData } from '../support/graphql-client.ts';
import { hasNativeTensorFlow } from '../support/native-tensorflow.ts';
import { readPicture } from '../support/pictures.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedData } from '../support/shared-data.ts';
import { importTfjs, tfjsModels } from '../support/tfjs-models.ts';

/** Computed by TensorFlow.js itself, on pictures that another filter resized. */
interface Expected {
  readonly centernet: Record<
    string,
    { det: { label: string; score: number; box_xyxy: [number, number, number, number] }[] }
  >;
  readonly meet: Record<string, { person_fraction: number }>;
  readonly emotion: Record<string, { out: number[] }>;
}

const file = sharedData('expected/tfjs.json');
const expected: Expected | null = file && JSON.parse(readFileSync(file, 'utf8'));
const entries = <T>(from: Record<string, T> | undefined) => Object.entries(from ?? {});
const photo = (name: string) => sharedData(`photos/${name}`)!;

/** Where the face is that the model of emotions was asked about: UltraFace's box, made square, and a twentieth more around it. */
const face = { left: 147, top: 110, width: 234, height: 234 };

async function faceOf(path: string): Promise<{ base64: string }> {
  const { pixels, width, height } = readBitmap(readFileSync(path));
  const picture = sharp(pixels, { raw: { width, height, channels: 3 } }).extract(face);
  return { base64: (await picture.png().toBuffer()).toString('base64') };
}

describe.each(['wasm', 'native'] as const)('TensorFlow.js graph models on %s', (runtime) => {
  const device = runtime === 'wasm' ? 'wasm' : 'cpu';
  const isThere = runtime === 'wasm' || hasNativeTensorFlow();
  describe.skipIf(expected === null || !isThere)(
    `answer over HTTP as TensorFlow.js does (needs shared data${runtime === 'native' ? ', npm run build:tensorflow' : ''})`,
    () => {
      let server: TestServer;
      beforeAll(async () => {
        server = await startServer({ FOVEA_TENSORFLOW: runtime });
        for (const name of tfjsModels) await importTfjs(name, { server });
      }, 180_000);
      afterAll(() => server?.close());

      it.each(entries(expected?.centernet))(
        'centernet on %s: scores to 0.01, boxes to 2 pixels',
        async (name, { det }) => {
          const { errors, data } = await server.operator.detect({
            ...{ model: 'centernet', images: await readPicture(photo(name)) },
            // Of what it finds, the expectations hold the two best.
            maxDetections: det.length,
            minScore: 0.3,
          });
          expect(errors).toEqual([]);
          const { results, receipt } = data!.detect;
          expect(receipt.device).toBe(device);
          const { objects } = results[0] as DetectionData;
          expect(objects.map(({ label }) => label)).toEqual(det.map(({ label }) => label));
          objects.forEach(({ score, box: { x, y, width, height } }, index) => {
            expect(Math.abs(score - det[index]!.score)).toBeLessThan(0.01);
            [x, y, x + width, y + height].forEach((edge, side) => {
              expect(Math.abs(edge - det[index]!.box_xyxy[side]!), `${name} ${index}`).toBeLessThan(2);
            });
          });
        },
      );

      it.each(entries(expected?.meet))(
        'meet on %s: the share of the person to 0.01',
        async (name, wanted) => {
          const { errors, data } = await server.operator.segment({
            ...{ model: 'meet', images: await readPicture(photo(name)), minScore: 0 },
          });
          expect(errors).toEqual([]);
          const { results, receipt } = data!.segment;
          expect(receipt.device).toBe(device);
          expect(results[0]).toMatchObject({ segments: [{ label: 'person' }] });
          const [segmentation] = results as readonly { segments: readonly { areaFraction: number }[] }[];
          const { areaFraction } = segmentation!.segments[0]!;
          expect(Math.abs(areaFraction - wanted.person_fraction)).toBeLessThan(0.01);
        },
      );

      it.each(entries(expected?.emotion))(
        'emotion on the face of %s: probabilities to 0.15',
        async (name, { out }) => {
          const { errors, data } = await server.operator.classify({
            ...{ model: 'emotion', images: await faceOf(photo(name)), topK: 7 },
          });
          expect(errors).toEqual([]);
          const { results, receipt } = data!.classify;
          expect(receipt.device).toBe(device);
          const [result] = results as readonly { labels: { index: number; score: number }[] }[];
          expect(result!.labels[0]!.index).toBe(out.indexOf(Math.max(...out)));
          for (const { index, score } of result!.labels)
            expect(Math.abs(score - out[index]!)).toBeLessThan(0.15);
        },
      );

      it('every one of them was booked', () => server.expectExactLedger());
    },
  );
});
