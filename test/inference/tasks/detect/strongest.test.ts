import { expect, test } from 'vitest';
import { strongest } from '../../../../src/inference/tasks/detect/strongest.ts';
import { numbersFrom } from '../../../../src/lib/numbers-from.ts';

const of = (scores: number[], minScore: number, most: number) => [
  ...strongest(Float32Array.from(scores), minScore, most),
];

test('gives those of at least minScore, highest first', () => {
  expect(of([0.1, 0.5, 0.25, 0.75], 0.25, 9)).toEqual([3, 1, 2]);
});

test('keeps equal scores in their order', () => {
  expect(of([0.5, 0.75, 0.5, 0.75, 0.5], 0, 9)).toEqual([1, 3, 0, 2, 4]);
});

test('cuts to the highest, and of equal ones at the edge to the first', () => {
  expect(of([0.5, 0.75, 0.5, 0.25, 0.5], 0, 3)).toEqual([1, 0, 2]);
  expect(of([0.5, 0.5, 0.5], 0, 2)).toEqual([0, 1]);
  expect(of([0, 0.5, 1], 0, 1)).toEqual([2]);
});

test('never gives what proposes nothing', () => {
  expect(of([-1, 0, -1], 0, 9)).toEqual([1]);
  expect(of([-1, -1], 0, 9)).toEqual([]);
  expect(of([], 0, 9)).toEqual([]);
});

test('agrees with sorting all', () => {
  const random = numbersFrom(5);
  // Few different values, so that many are equal at the edge.
  const scores = Array.from({ length: 2_000 }, () => Math.floor(random() * 64) / 64);
  for (const most of [1, 500, 1_999, 2_000, 3_000]) {
    const sorted = scores
      .map((score, index) => ({ score, index }))
      .filter(({ score }) => score >= 0.125)
      .sort((a, b) => b.score - a.score || a.index - b.index)
      .slice(0, most);
    expect(of(scores, 0.125, most)).toEqual(sorted.map(({ index }) => index));
  }
});
