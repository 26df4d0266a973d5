import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { ResultCache } from '../../../src/inference/cache/result-cache.ts';
import { Run } from '../../../src/inference/cache/run.ts';
import { classify } from '../../../src/inference/tasks/classify.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const labels = Array.from({ length: 1_000 }, (_, index) => `class number ${index}`);

function classification(topK: number): unknown {
  const row = Float32Array.from(labels, () => Math.random());
  const output = { kind: 'probabilities', tensor: 'scores', background: null } as const;
  return {
    ...{ kind: 'classification', width: 500, height: 375 },
    labels: classify(row, output, labels, { topK, minScore: 0 }),
  };
}

function detection(objects: number): unknown {
  const box = () => ({ x: Math.random(), y: Math.random(), width: Math.random(), height: Math.random() });
  const found = (index: number) => ({ label: labels[index], index, score: Math.random(), box: box() });
  return {
    ...{ kind: 'detection', width: 500, height: 375 },
    objects: Array.from({ length: objects }, (_, index) => found(index)),
  };
}

function segmentation(characters: number): unknown {
  const rle = Array.from({ length: characters }, () => String.fromCharCode(48 + Math.random() * 64)).join('');
  const box = { x: 1, y: 2, width: 300, height: 200 };
  const segment = { label: 'chien à poil, 犬', index: 3, score: 0.7, areaFraction: 0.5, box, rle };
  return {
    kind: 'segmentation',
    width: 500,
    height: 375,
    segments: [segment, { ...segment, rle: `${rle}1` }],
  };
}

it.each([
  ['no label', () => ({ kind: 'classification', width: 500, height: 375, labels: [] }), 20_000],
  ['one label', () => classification(1), 20_000],
  ['five labels', () => classification(5), 20_000],
  ['all labels', () => classification(1_000), 500],
  // As it comes from a thread.
  ['five labels, copied', () => structuredClone(classification(5)), 20_000],
  ['twenty boxes, copied', () => structuredClone(detection(20)), 5_000],
  ['two masks, copied', () => structuredClone(segmentation(20_000)), 500],
])('%s: no entry takes more of the heap than is counted, nor less than a third', (_, make, entries) => {
  // What is compiled, and grown, on the way is not the entries'.
  for (let n = 0; n < 200; n++) make();
  const cache = new ResultCache(2 ** 40);
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < entries; n++) {
    const key = createHash('sha256').update(`${n}`).digest('base64url');
    const figures = {
      device: 'cpu',
      batchSize: 4,
      queueMs: n + 0.5,
      inferenceMs: n + 0.25,
      postprocessMs: n + 0.1,
    };
    cache.keep('tenant', { key, run: new Run({ result: make(), ...figures }), waitedMs: null });
  }
  collectGarbage();
  const taken = process.memoryUsage().heapUsed - before;
  const { bytes, entries: kept } = cache.stats;
  expect(kept).toBe(entries);
  expect(taken).toBeLessThan(bytes);
  expect(taken).toBeGreaterThan(bytes / 3);
});
