import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { outputTensors } from '../../src/inference/variant.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { importModel } from '../../src/models/import.ts';
import { withTrials } from '../../src/models/trials.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { layOutPublished, publishedClassifiers } from '../support/manifests/published.ts';
import { sharedData } from '../support/shared-data.ts';

interface Expected {
  readonly index: number;
  readonly label: string;
  readonly score: number;
}

const exact = sharedData('expected/exact.json');

describe.skipIf(exact === null)(
  'published classifiers import and answer as published (needs shared data)',
  () => {
    let testDatabase: TestDatabase;
    let database: Database;
    let store: string;

    beforeAll(async () => {
      testDatabase = await createTestDatabase();
      database = openDatabase(testDatabase.url);
      store = mkdtempSync(join(tmpdir(), 'fovea-artifacts-'));
    });

    afterAll(async () => {
      await database.close();
      await testDatabase.drop();
      rmSync(store, { recursive: true });
    });

    it.each(publishedClassifiers)('%s', async (name) => {
      const laidOut = layOutPublished(name)!;
      const artifacts = new ArtifactStore(store);
      const model = await withTrials({ artifacts }, (trials) =>
        importModel(laidOut.manifest, { tenantId: null, database, trials, logger: createLogger('warn') }),
      ).finally(laidOut.remove);

      const [variant] = model.variants;
      expect(variant).toMatchObject({ compression: 'NONE', maxBatch: 8, report: null });
      expect(model.labels).toHaveLength(1001);
      const { input, output, artifactSha256, labels } = variant!;
      const session = await InferenceSession.create(readFileSync(artifacts.path(artifactSha256)), {
        logSeverityLevel: 3,
      });
      const pictures: Record<string, Expected[]> = JSON.parse(readFileSync(exact!, 'utf8'))[name];
      for (const [file, expected] of Object.entries(pictures)) {
        const pixels = await sharp(sharedData(`expected/exact/${file}`)!)
          .removeAlpha()
          .raw()
          .toBuffer();
        const shape = [1, input.height, input.width, 3];
        const answer = await session.run({ [input.tensor]: new Tensor('uint8', pixels, shape) });
        const scores = answer[outputTensors(output)[0]!]!.data as Float32Array;
        for (const { index, label, score } of expected) {
          expect(labels[index]).toBe(label);
          expect(Math.abs(scores[index]! - score), `${file}: ${label}`).toBeLessThan(1e-3);
        }
      }
      await session.release();
    });
  },
);
