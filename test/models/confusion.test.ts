import { describe, expect, it } from 'vitest';
import {
  accuracy,
  type Confusion,
  intersectionOverUnion,
  mistakes,
  recall,
} from '../../models/shapes/recipe/confusion.ts';

/** Rows are what there is: 8, 4 and 8 of three classes. */
const confusion: Confusion = {
  classes: 3,
  counts: Float64Array.of(
    ...[6, 2, 0], //
    ...[1, 3, 0],
    ...[4, 0, 4],
  ),
};

describe('what was taken for what', () => {
  it('gives the share that was right', () => {
    expect(accuracy(confusion)).toBe(13 / 20);
  });

  it('gives the share of each class that was found', () => {
    expect([0, 1, 2].map((index) => recall(confusion, index))).toEqual([6 / 8, 3 / 4, 4 / 8]);
  });

  it('gives what truth and answer share of what they cover together', () => {
    // The first class: 8 there are, 11 were answered, 6 are both, so 13 are either.
    const overlaps = [0, 1, 2].map((index) => intersectionOverUnion(confusion, index));
    expect(overlaps).toEqual([6 / 13, 3 / 6, 4 / 8]);
  });

  it('gives the mistakes, most frequent first', () => {
    expect(mistakes(confusion)).toEqual([
      { truth: 2, answer: 0, count: 4 },
      { truth: 0, answer: 1, count: 2 },
      { truth: 1, answer: 0, count: 1 },
    ]);
  });
});
