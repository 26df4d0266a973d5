import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { readIndices } from '../support/bitmap.ts';
import { maskOf } from '../support/coco-rle.ts';
import type { SegmentationData } from '../support/graphql-client.ts';
import { importPublished } from '../support/imported-models.ts';
import { publishedSegmenters } from '../support/manifests/published.ts';
import { readPicture } from '../support/pictures.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedData } from '../support/shared-data.ts';

interface Expected {
  /** Of the class indices, beside the expectations. */
  readonly mask?: string;
  /** Of the picture, by label. */
  readonly fractions: Record<string, number>;
}

/** By model and picture. */
type Expectations = Record<string, Record<string, Expected>>;

const expectations = (path: string): Expectations => {
  const file = sharedData(path);
  return file === null ? {} : JSON.parse(readFileSync(file, 'utf8'));
};
const exact = expectations('expected/exact.json');
const photos = expectations('expected/photos.json');
const cases = (from: Expectations) =>
  publishedSegmenters.flatMap((model) =>
    Object.entries(from[model] ?? {}).map(([picture, expected]) => ({ model, picture, expected })),
  );

const fractionsOf = ({ segments }: SegmentationData) =>
  Object.fromEntries(segments.map(({ label, areaFraction }) => [label, areaFraction]));

/** The class of every pixel, 0 where no segment is; segments do not overlap. */
function classesOf(segmentation: SegmentationData): Uint8Array {
  const classes = new Uint8Array(segmentation.width * segmentation.height);
  for (const { index, rle } of segmentation.segments) {
    maskOf(rle, segmentation).forEach((inside, at) => {
      if (inside === 0) return;
      if (classes[at] !== 0) throw new Error(`pixel ${at} is of the classes ${classes[at]} and ${index}`);
      classes[at] = index;
    });
  }
  return classes;
}

/** As segmenters are compared: equal pixels over all that either picture has. */
function agreement(found: Uint8Array, expected: Uint8Array): number {
  const equal = found.reduce((count, value, at) => count + (value === expected[at] ? 1 : 0), 0);
  return equal / (2 * found.length - equal);
}

describe.skipIf(Object.keys(exact).length === 0)(
  'published segmenters answer over HTTP as published (needs shared data: models, photos, expected)',
  () => {
    let server: TestServer;
    /** By the file's name: what it was imported as. */
    const models = new Map<string, string>();
    beforeAll(async () => {
      server = await startServer();
      for (const name of publishedSegmenters)
        models.set(name, (await importPublished(name, { server })).name);
    }, 120_000);
    afterAll(() => server?.close());

    async function segment(file: string, path: string): Promise<SegmentationData> {
      const images = await readPicture(path);
      // What is expected holds every class that any pixel is of, however unsure the model is of it.
      const { errors, data } = await server.operator.segment({
        model: models.get(file),
        images,
        minScore: 0,
      });
      expect(errors).toEqual([]);
      const [result] = data!.segment.results;
      if (!result || !('segments' in result)) throw new Error(`no segmentation: ${result?.message}`);
      return result;
    }

    it.each(cases(exact))(
      '$model on $picture, which needs no resizing: 99.9 % of the pixels',
      async ({ model, picture, expected }) => {
        const segmentation = await segment(model, sharedData(`expected/exact/${picture}`)!);
        const { data: classes, info } = await sharp(sharedData(`expected/${expected.mask}`)!)
          .toColourspace('b-w')
          .raw()
          .toBuffer({ resolveWithObject: true });
        expect(info).toMatchObject({
          width: segmentation.width,
          height: segmentation.height,
          channels: 1,
        });
        const found = classesOf(segmentation);
        const differing = found.reduce((count, value, at) => count + (value === classes[at] ? 0 : 1), 0);
        expect(differing / found.length).toBeLessThanOrEqual(0.001);
        for (const [label, fraction] of Object.entries(fractionsOf(segmentation)))
          expect(fraction, label).toBeCloseTo(expected.fractions[label] ?? 0, 3);
      },
    );

    it.each(cases(photos))(
      '$model on $picture: the classes, and their share of the picture to 0.02',
      async ({ model, picture, expected }) => {
        const segmentation = await segment(model, sharedData(`photos/${picture}`)!);
        const found = fractionsOf(segmentation);
        for (const [label, fraction] of Object.entries(expected.fractions)) {
          if (label === 'background') continue;
          expect(Math.abs((found[label] ?? 0) - fraction), label).toBeLessThan(0.02);
        }
        for (const [label, fraction] of Object.entries(found))
          expect(Math.abs((expected.fractions[label] ?? 0) - fraction), label).toBeLessThan(0.02);
      },
    );

    it('the bird agrees with its published mask by more than 0.9', async () => {
      const segmentation = await segment(
        'deeplabv3_mnv2_voc_513',
        sharedData('photos/bird_segmentation.bmp')!,
      );
      const published = readIndices(readFileSync(sharedData('photos/bird_segmentation_mask.bmp')!));
      expect(published).toMatchObject({ width: segmentation.width, height: segmentation.height });
      // 255 is to be ignored, which the published figure takes for background.
      const mask = published.indices.map((index) => (index === 255 ? 0 : index));
      expect(agreement(classesOf(segmentation), mask)).toBeGreaterThan(0.9);
    });

    it('every one of them was booked', () => server.expectExactLedger());
  },
);
