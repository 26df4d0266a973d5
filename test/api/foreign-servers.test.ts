import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { exportPublic } from '../support/exported-models.ts';
import type { GraphqlClient } from '../support/graphql-client.ts';
import { importMarker } from '../support/imported-models.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import {
  type LikeModel,
  type LikeOptions,
  modelsIn,
  startTritonLike,
  type TritonLike,
} from '../support/triton-like.ts';

const builtIn = resolve(import.meta.dirname, '../../models');
const names = ['shapes', 'shapes-detect', 'shapes-segment'];
const repository = mkdtempSync(join(tmpdir(), 'fovea-repository-'));
const scene = {
  base64: readFileSync(join(builtIn, 'shapes-detect/examples/four-objects.jpg')).toString('base64'),
};

const finder = { name: 'finder', head: 'boxes-scores', size: 64 } as const;

let local: TestServer;
beforeAll(async () => {
  local = await startServer();
  await importMarker(finder, { server: local });
  await exportPublic(local, repository);
}, 120_000);
afterAll(async () => {
  await local?.close();
  rmSync(repository, { recursive: true });
});

/** The graphs as they were before import: floats in, whatever it did to them inside. */
const originals: Record<string, LikeModel> = Object.fromEntries(
  names.map((name) => [name, { file: join(builtIn, name, `${name}.onnx`), version: 1, maxBatch: 4 }]),
);

async function answersOf(client: GraphqlClient) {
  const pictures = ['red-circle', 'green-triangle', 'blue-star'].map((name) => ({
    base64: examplePicture(name),
  }));
  const { data: named, errors } = await client.classify({ images: [...pictures, scene], topK: 5 });
  expect(errors).toEqual([]);
  const { data: found } = await client.detect({ model: 'shapes-detect', images: [scene, pictures[0]] });
  const { data: cut } = await client.segment({ model: 'shapes-segment', images: [scene, pictures[1]] });
  return [named!.classify.results, found!.detect.results, cut!.segment.results];
}

/** Numbers may differ by 1e-4, as share of what they are; all else must be the same. */
function expectAlike(found: unknown, wanted: unknown, path = ''): void {
  if (typeof wanted === 'number')
    expect(Math.abs((found as number) - wanted), path).toBeLessThanOrEqual(
      1e-4 * Math.max(1, Math.abs(wanted)),
    );
  else if (typeof wanted !== 'object' || wanted === null) expect(found, path).toEqual(wanted);
  else {
    expect(Object.keys(found as object), path).toEqual(Object.keys(wanted));
    for (const [key, value] of Object.entries(wanted))
      expectAlike((found as Record<string, unknown>)[key], value, `${path}/${key}`);
  }
}

describe.each<[string, () => LikeOptions, RegExp]>([
  [
    'Triton with the exported graphs',
    () => ({ models: modelsIn(repository) }),
    /versions\/1\/infer UINT8 \[\d+,64,64,3\] → 1 binary$/,
  ],
  [
    'Triton that loads what it is asked to',
    () => ({ models: modelsIn(repository), isExplicit: true }),
    /versions\/1\/infer UINT8 \[\d+,64,64,3\] → 1 binary$/,
  ],
  [
    'Triton with the original graphs',
    () => ({ models: originals }),
    /versions\/1\/infer FP32 \[[1-4],3,64,64\] → 1 binary$/,
  ],
  [
    'a server without versions that takes one picture at a time',
    () => ({ models: originals, manner: 'kserve' }),
    /shapes\/infer FP32 \[1,3,64,64\] → 0 binary$/,
  ],
])('through %s', (_, options, asked) => {
  let foreign: TritonLike;
  let server: TestServer;
  beforeAll(async () => {
    foreign = await startTritonLike(options());
    server = await startServer({ FOVEA_WORKERS: foreign.url });
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await foreign?.close();
  });

  it('the API answers what it does with its own worker, and books it', async () => {
    const tenant = await server.createTenant();
    const answers = await answersOf(tenant.client);
    expectAlike(answers, await answersOf(local.operator));
    expect(answers.flat().every((result) => result.__typename !== 'ImageError')).toBe(true);
    expect(
      foreign.inferences.filter((line) => line.includes('/shapes/')).every((line) => asked.test(line)),
    ).toBe(true);
    expect(foreign.inferences.length).toBeGreaterThanOrEqual(3);
    expect(foreign.traceparents).toEqual([]);
    await server.expectExactLedger();
  });
});

describe('a server that has something else under a name, or answers something else', () => {
  let foreign: TritonLike;
  let server: TestServer;
  const logged: string[] = [];
  beforeAll(async () => {
    const models = modelsIn(repository);
    foreign = await startTritonLike({
      models: {
        ...models,
        'shapes-detect': originals.shapes!,
        'shapes-segment': { ...models['shapes-segment']!, version: 2 },
      },
      spoiled: ['finder'],
    });
    const logger = createLogger('warn', { write: (line) => logged.push(line) });
    server = await startServer({ FOVEA_WORKERS: foreign.url }, { logger });
    await importMarker(finder, { server });
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await foreign?.close();
  });

  it('does not serve that, says why, and serves the others', async () => {
    const serves = async () => {
      const { data, errors } = await server.operator.classify({ images: [{ base64: examplePicture() }] });
      expect(errors).toEqual([]);
      expect(data!.classify.results).toMatchObject([{ __typename: 'Classification' }]);
    };
    const { operator } = server;
    for (const ask of [
      () => operator.detect({ model: 'shapes-detect', images: scene }),
      () => operator.segment({ model: 'shapes-segment', images: scene }),
      () => operator.detect({ model: 'finder', images: scene }),
    ]) {
      expect(JSON.stringify(await ask())).toMatch(/INFERENCE_FAILED|OVERLOADED/);
      await serves();
    }
    const lines = logged.join('');
    expect(lines).toMatch(
      /'shapes-detect' version 1 is not the model that is served here: it takes the input 'pixels' FP32 \[-1,3,64,64\]; wanted UINT8 \[N,128,128,3\]/,
    );
    expect(lines).toMatch(
      /'shapes-segment' version 1 is not there \(the server has .* in version 2, and not in 1\), and/,
    );
    expect(lines).toMatch(
      /output 'boxes': expected \d+ bytes of binary data, found \d+.*remote worker is at fault/,
    );
    await server.expectExactLedger();
  });
});
