import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServedModel } from '../../src/models/registry.ts';
import { importPublished } from '../support/imported-models.ts';
import { publishedClassifiers } from '../support/manifests/published.ts';
import { readPicture } from '../support/pictures.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedData } from '../support/shared-data.ts';

interface Expected {
  readonly index: number;
  readonly label: string;
  readonly score: number;
}

/** By model and picture, the best labels first. */
type Expectations = Record<string, Record<string, readonly Expected[]>>;

const expectations = (path: string): Expectations => {
  const file = sharedData(path);
  return file === null ? {} : JSON.parse(readFileSync(file, 'utf8'));
};
const exact = expectations('expected/exact.json');
const photos = expectations('expected/photos.json');
const cases = (from: Expectations) =>
  publishedClassifiers.flatMap((model) =>
    Object.entries(from[model] ?? {}).map(([picture, expected]) => ({ model, picture, expected })),
  );

describe.skipIf(Object.keys(exact).length === 0)(
  'published classifiers answer over HTTP as published (needs shared data: models, photos, expected)',
  () => {
    let server: TestServer;
    /** By the file's name: what it was imported as. */
    const models = new Map<string, ServedModel>();
    beforeAll(async () => {
      server = await startServer();
      for (const name of publishedClassifiers) {
        models.set(name, await importPublished(name, { server }));
      }
    }, 120_000);
    afterAll(() => server?.close());

    async function classify(file: string, path: string): Promise<Expected[]> {
      const { name: model, variants } = models.get(file)!;
      const images = await readPicture(path);
      const { errors, data } = await server.operator.classify({ model, images, topK: 1_001 });
      expect(errors).toEqual([]);
      expect(data!.classify.receipt).toMatchObject({ model, units: variants[0]!.unitsPerImage });
      const [result] = data!.classify.results;
      if (!result || !('labels' in result)) throw new Error(`no classification: ${result?.message}`);
      return result.labels;
    }

    /** By the graph's column: two classes may have one name. */
    const scoreOf = (labels: readonly Expected[], { index, label }: Expected) => {
      const found = labels.find((each) => each.index === index);
      expect(found?.label).toBe(label);
      return found!.score;
    };

    it.each(cases(exact))(
      '$model on $picture, which needs no resizing, to 1e-3',
      async ({ model, picture, expected }) => {
        const labels = await classify(model, sharedData(`expected/exact/${picture}`)!);
        expect(labels[0]!.index).toBe(expected[0]!.index);
        for (const each of expected)
          expect(Math.abs(scoreOf(labels, each) - each.score), each.label).toBeLessThan(1e-3);
      },
    );

    it.each(cases(photos))(
      '$model on $picture to 0.15, whatever filter resized it',
      async ({ model, picture, expected }) => {
        const labels = await classify(model, sharedData(`photos/${picture}`)!);
        if (expected[0]!.score >= 0.5) expect(labels[0]!.index).toBe(expected[0]!.index);
        for (const each of expected)
          expect(Math.abs(scoreOf(labels, each) - each.score), each.label).toBeLessThan(0.15);
      },
    );

    it('BMP itself is not read', async () => {
      const images = { base64: readFileSync(sharedData('photos/cat.bmp')!).toString('base64') };
      const { data } = await server.operator.classify({
        model: models.get(publishedClassifiers[0])!.name,
        images,
      });
      expect(data!.classify.results).toMatchObject([{ code: 'UNSUPPORTED_FORMAT' }]);
      expect(data!.classify.receipt.units).toBe(0);
    });

    it('every one of them was booked', () => server.expectExactLedger());
  },
);
