import { describe, expect, it } from 'vitest';
import { judgeEqual, judgeScores } from '../../src/models/judge-scores.ts';
import type { Fault } from '../../src/models/manifest-error.ts';

const rows = (...values: number[][]) => values.map((row) => Float32Array.from(row));

describe('two graphs are taken to answer the same', () => {
  it.each<[string, number[], number[], boolean]>([
    ['where they do', [0.5, 0.5], [0.5, 0.5], true],
    ['where rounding alone tells them apart', [0.5, 0.5], [0.50005, 0.5], true],
    ['not where a score is off by more than 1e-4', [0.5, 0.5], [0.5002, 0.5], false],
    ['where that is little beside the largest score', [100, 0.5], [100, 0.505], true],
    ['not where one answers what is no number', [0.5, 0.5], [Number.NaN, 0.5], false],
    ['not where one has fewer scores', [0.5, 0.5], [0.5], false],
  ])('%s', (_, wanted, found, equal) => {
    const faults: Fault[] = [];
    judgeEqual(rows([0.1, 0.2], wanted), rows([0.1, 0.2], found), 'the original graph', faults);
    expect(faults.length === 0).toBe(equal);
  });
});

describe('scores are taken for what they are said to be', () => {
  it.each<[string, 'logits' | 'probabilities', number[][], boolean]>([
    [
      'logits of any size',
      'logits',
      [
        [-30, 4],
        [2, 90],
      ],
      true,
    ],
    [
      'logits that lie in 0..1 by chance',
      'logits',
      [
        [0.2, 0.3],
        [0.9, 0.4],
      ],
      true,
    ],
    [
      'no logits: a softmax is on them already',
      'logits',
      [
        [0.2, 0.8],
        [0.9, 0.1],
      ],
      false,
    ],
    [
      'probabilities that sum to 1',
      'probabilities',
      [
        [0.2, 0.8],
        [0.9, 0.1],
      ],
      true,
    ],
    [
      'probabilities of labels that do not exclude each other',
      'probabilities',
      [
        [0.9, 0.8],
        [0.1, 0.1],
      ],
      true,
    ],
    [
      'no probabilities: one is below 0',
      'probabilities',
      [
        [-0.2, 0.8],
        [0.9, 0.1],
      ],
      false,
    ],
    [
      'nothing: one is infinite',
      'logits',
      [
        [Number.POSITIVE_INFINITY, 0],
        [1, 2],
      ],
      false,
    ],
    [
      'nothing: every picture has the same',
      'logits',
      [
        [1, 2],
        [1, 2],
      ],
      false,
    ],
  ])('%s', (_, kind, values, taken) => {
    const faults: Fault[] = [];
    judgeScores(rows(...values), { kind, tensor: 'scores' }, faults);
    expect(faults.length === 0).toBe(taken);
  });
});
