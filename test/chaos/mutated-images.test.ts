import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryWatch } from '../api/memory.ts';
import {
  clientOf,
  type Installation,
  installation,
  pidOf,
  pidsOf,
  type RunningServer,
} from '../process/installation.ts';
import { sharedData } from '../support/shared-data.ts';
import { mutate } from './mutations.ts';

const folders = ['photos', 'formats'].map(sharedData);
/** The long run: `FOVEA_TEST_MUTATIONS=10000 npm test -- test/chaos/mutated-images.test.ts`. */
const count = Number(process.env.FOVEA_TEST_MUTATIONS ?? 1_000);
const firstSeed = Number(process.env.FOVEA_TEST_SEED ?? 1);
const imagesPerRequest = 4;
const clients = 4;
const mostBytes = 1_500_000_000;
const codes = ['CORRUPT_IMAGE', 'UNSUPPORTED_FORMAT', 'IMAGE_TOO_LARGE'];

describe.skipIf(folders.includes(null))(
  `${count} mutated pictures (needs shared data: photos, formats)`,
  () => {
    const cleanings: (() => void | Promise<void>)[] = [];
    let place: Installation;
    let server: RunningServer;

    beforeAll(async () => {
      place = installation((clean) => cleanings.push(clean));
      server = await place.start();
    });
    afterAll(async () => {
      for (const clean of cleanings.reverse()) await clean();
    });

    const processes = () => ({ server: pidOf('server', place), workers: pidsOf('worker', place) });

    it('are each answered, by the processes that were there before, within 1.5 GB', {
      timeout: 3_600_000,
    }, async () => {
      const files = folders.flatMap((folder) => readdirSync(folder!).map((file) => `${folder}/${file}`));
      const client = clientOf(server);
      const before = processes();
      const memory = process.platform === 'linux' ? new MemoryWatch(server.child.pid!) : null;
      const outcomes = new Map<string, number>();
      let next = 0;
      let answered = 0;

      async function ask(): Promise<void> {
        while (next < count) {
          const seeds = Array.from(
            { length: Math.min(imagesPerRequest, count - next) },
            () => firstSeed + next++,
          );
          const made = seeds.map((seed) => {
            const path = files[seed % files.length]!;
            return { seed, path, ...mutate(readFileSync(path), seed) };
          });
          const images = made.map(({ mutant }) => ({ base64: mutant.toString('base64') }));
          const { data, errors } = await client.classify({ images });
          expect(errors, `seeds ${seeds}`).toEqual([]);
          const { results, receipt } = data!.classify;
          expect(results).toHaveLength(made.length);
          results.forEach((result, index) => {
            const { path, by, seed } = made[index]!;
            const outcome = 'code' in result ? result.code : 'read';
            if ('code' in result) expect(codes, `seed ${seed}: ${path} by ${by}`).toContain(result.code);
            outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
          });
          const read = results.filter((result) => 'labels' in result).length;
          expect(receipt).toMatchObject({ images: read, units: read });
          answered += results.length;
          if (count > 1_000 && answered % 1_000 < imagesPerRequest) {
            process.stderr.write(
              `${answered} of ${count}: ${JSON.stringify(Object.fromEntries(outcomes))}\n`,
            );
          }
        }
      }
      await Promise.all(Array.from({ length: clients }, ask));
      memory?.stop();

      expect(answered).toBe(count);
      expect(processes()).toEqual(before);
      const { quota } = await client.data<{ quota: object }>('{ quota { used reserved } }');
      expect(quota).toEqual({ used: outcomes.get('read'), reserved: 0 });
      if (memory) {
        process.stderr.write(
          `${count} mutated pictures: ${JSON.stringify(Object.fromEntries(outcomes))}, at most ${Math.round(memory.peak / 1e6)} MB\n`,
        );
        expect(memory.peak).toBeGreaterThan(100_000_000);
        expect(memory.peak).toBeLessThan(mostBytes);
      }
    });
  },
);
