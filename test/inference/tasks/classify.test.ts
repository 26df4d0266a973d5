import { describe, expect, it } from 'vitest';
import { ImageError } from '../../../src/inference/images/image-error.ts';
import { classify } from '../../../src/inference/tasks/classify.ts';
import { softmax } from '../../../src/inference/tasks/probability.ts';
import type { ClassifyOutput } from '../../../src/inference/variant.ts';

const labels = ['none', 'cat', 'dog', 'owl'];
const probabilities: ClassifyOutput = { kind: 'probabilities', tensor: 'scores', background: null };
const row = Float32Array.of(0.1, 0.25, 0.6, 0.05);

const names = (found: { label: string }[]) => found.map(({ label }) => label);

describe('classify', () => {
  it('answers the best labels, highest first, with the column they come from', () => {
    const found = classify(row, probabilities, labels, { topK: 2, minScore: 0 });
    expect(found).toEqual([
      { label: 'dog', index: 2, score: Math.fround(0.6) },
      { label: 'cat', index: 1, score: 0.25 },
    ]);
  });

  it('gives all labels where topK asks for more than there are', () => {
    expect(names(classify(row, probabilities, labels, { topK: 1_000, minScore: 0 }))).toEqual([
      'dog',
      'cat',
      'none',
      'owl',
    ]);
  });

  it('leaves out what scores below minScore, and keeps what equals it', () => {
    expect(names(classify(row, probabilities, labels, { topK: 4, minScore: 0.25 }))).toEqual(['dog', 'cat']);
  });

  it('leaves out the background, whose index stays the graph column', () => {
    const found = classify(row, { ...probabilities, background: 0 }, labels, { topK: 4, minScore: 0 });
    expect(found.map(({ index }) => index)).toEqual([2, 1, 3]);
  });

  it('keeps equal scores in the order of their index', () => {
    const found = classify(Float32Array.of(0.25, 0.25, 0.25, 0.25), probabilities, labels, {
      topK: 3,
      minScore: 0,
    });
    expect(found.map(({ index }) => index)).toEqual([0, 1, 2]);
  });

  it('turns logits into probabilities', () => {
    const logits = Float32Array.of(1, 2, 3, 4);
    const found = classify(logits, { ...probabilities, kind: 'logits' }, labels, { topK: 4, minScore: 0 });
    const sum = Math.exp(1) + Math.exp(2) + Math.exp(3) + Math.exp(4);
    expect(found[0]!.score).toBeCloseTo(Math.exp(4) / sum, 6);
    expect(found.reduce((total, { score }) => total + score, 0)).toBeCloseTo(1, 6);
  });

  it('does not overflow on large logits', () => {
    expect([...softmax(Float32Array.of(1_000, 1_000, -1_000))]).toEqual([0.5, 0.5, 0]);
  });

  it('takes what rounding put just outside 0..1 as 0 and 1', () => {
    const values = Float32Array.of(1.00005, -1e-6, 0.5, 0);
    const found = classify(values, probabilities, labels, { topK: 4, minScore: 0 });
    expect(found.map(({ index, score }) => [index, score])).toEqual([
      [0, 1],
      [2, 0.5],
      [1, 0],
      [3, 0],
    ]);
  });

  it.each([3, 5, 8])('refuses %d values for four labels', (length) => {
    const read = () => classify(new Float32Array(length), probabilities, labels, { topK: 1, minScore: 0 });
    expect(read).toThrow(expect.objectContaining({ name: 'ImageError', code: 'INFERENCE_FAILED' }));
  });

  it.each([
    ['probabilities', Float32Array.of(0.5, Number.NaN, 0.5, 0)],
    ['logits', Float32Array.of(1, Number.NaN, 2, 3)],
    ['logits', Float32Array.of(Number.POSITIVE_INFINITY, 0, 0, 0)],
    ['probabilities', Float32Array.of(0.5, Number.POSITIVE_INFINITY, 0.5, 0)],
    ['probabilities', Float32Array.of(0.5, Number.NEGATIVE_INFINITY, 0.5, 0)],
    ['probabilities', Float32Array.of(0.5, 7, 0.5, 0)],
  ] as const)('refuses %s that are none: %j', (kind, values) => {
    const read = () => classify(values, { ...probabilities, kind }, labels, { topK: 1, minScore: 0 });
    expect(read).toThrow(ImageError);
    expect(read).toThrow(expect.objectContaining({ code: 'INFERENCE_FAILED' }));
  });
});
