import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientOf, type Installation, installation, pidOf, pidsOf } from '../process/installation.ts';
import type { ClassifyData, GraphqlClient } from '../support/graphql-client.ts';
import { decodedFormats, refusedFormats } from '../support/picture-formats.ts';
import { examplePicture } from '../support/server.ts';
import { sharedData } from '../support/shared-data.ts';
import { MemoryWatch } from './memory.ts';

const formats = sharedData('formats');
const malformed = sharedData('malformed');
const mostBytes = 1_500_000_000;

/** Every malformed file is one of these, or read. */
const codes = ['CORRUPT_IMAGE', 'UNSUPPORTED_FORMAT', 'IMAGE_TOO_LARGE'];

type Result = ClassifyData['classify']['results'][number];

describe.skipIf(formats === null || malformed === null)(
  'pictures of all kinds through the API of a server of its own (needs shared data: formats, malformed)',
  () => {
    const cleanings: (() => void | Promise<void>)[] = [];
    let place: Installation;
    let client: GraphqlClient;
    let memory: MemoryWatch | null = null;
    let startedWith = 0;

    // A process of its own with its own worker and its own PostgreSQL, since this one's memory is the test's as well.
    beforeAll(async () => {
      place = installation((clean) => cleanings.push(clean));
      const server = await place.start();
      client = clientOf(server);
      if (process.platform === 'linux') memory = new MemoryWatch(server.child.pid!);
      memory?.look();
      startedWith = memory?.peak ?? 0;
    });
    afterAll(async () => {
      memory?.stop();
      for (const clean of cleanings.reverse()) await clean();
    });

    const read = (folder: string, file: string) => readFileSync(`${folder}/${file}`).toString('base64');

    /** Beside a good picture, which must come through whatever the other is. */
    async function classify(folder: string, file: string): Promise<Result> {
      const images = [{ base64: read(folder, file) }, { base64: examplePicture('red-circle') }];
      const { errors, data } = await client.classify({ images, topK: 1_000 });
      expect(errors).toEqual([]);
      const [result, good] = data!.classify.results;
      expect(good && 'labels' in good && good.labels[0]!.label).toBe('red circle');
      expect(data!.classify.receipt.units).toBe('labels' in result! ? 2 : 1);
      return result!;
    }

    function scoresOf(result: Result): Map<string, number> {
      if (!('labels' in result)) throw new Error(`expected a classification: ${result.message}`);
      return new Map(result.labels.map(({ label, score }) => [label, score]));
    }

    it.each(decodedFormats)('%s is classified, %i × %i', async (file, width, height) => {
      const result = await classify(formats!, file);
      expect(result).toMatchObject({ __typename: 'Classification', width, height });
      const sum = [...scoresOf(result).values()].reduce((total, score) => total + score, 0);
      expect(sum).toBeCloseTo(1, 4);
    });

    it.each(refusedFormats)('%s is not read', async (file) => {
      expect(await classify(formats!, file)).toMatchObject({ code: 'UNSUPPORTED_FORMAT' });
    });

    // Portrait_1 is brighter than its turned copies, whose colour profile makes up for it and is ignored, as by Pillow.
    it.each([
      ...['3', '4', '6', '7'].map((turned) => ['Landscape', turned, '1']),
      ...['4', '5', '7', '8'].map((turned) => ['Portrait', turned, '2']),
    ])('sharp_%s_%s.jpg is answered as number %s of its scene', async (scene, turned, upright) => {
      const expected = scoresOf(await classify(formats!, `sharp_${scene}_${upright}.jpg`));
      const found = scoresOf(await classify(formats!, `sharp_${scene}_${turned}.jpg`));
      expect([...found.keys()][0]).toBe([...expected.keys()][0]);
      for (const [label, score] of found)
        expect(Math.abs(score - expected.get(label)!), label).toBeLessThan(0.02);
    });

    it.each(malformed === null ? [] : readdirSync(malformed))(
      '%s is an error of its own, or a picture',
      async (file) => {
        const result = await classify(malformed!, file);
        if ('code' in result) expect(codes).toContain(result.code);
        else expect(result.width * result.height).toBeGreaterThan(0);
      },
    );

    it('all of them at once come to what each of them came to', async () => {
      const files = [formats!, malformed!].flatMap((folder) =>
        readdirSync(folder).map((file) => [folder, file] as const),
      );
      const alone: Result[] = [];
      for (const [folder, file] of files) alone.push(await classify(folder, file));
      const together = await Promise.all(files.map(([folder, file]) => classify(folder, file)));
      together.forEach((result, index) => {
        const { labels: _, ...rest } = result as Extract<Result, { labels: unknown }>;
        expect(alone[index], files[index]![1]).toMatchObject(rest);
      });
    });

    it.skipIf(process.platform !== 'linux')(
      'server, worker and PostgreSQL together never held 1.5 GB',
      () => {
        const watched = memory!.look();
        const processes = [pidOf('server', place), ...pidsOf('worker', place), pidOf('postgres', place)];
        expect(watched).toEqual(expect.arrayContaining(processes));
        expect(startedWith).toBeGreaterThan(100_000_000);
        expect(memory!.peak).toBeLessThan(mostBytes);
      },
    );
  },
);
