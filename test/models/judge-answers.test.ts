import { describe, expect, it } from 'vitest';
import type { Part } from '../../src/models/heads/head.ts';
import { differenceOf } from '../../src/models/judge-answers.ts';

const part = (values: number[], compare: Part['compare']): Part[] => [{ tensor: 't', values, compare }];
const thousand = (odd: number) => Array.from({ length: 1000 }, (_, index) => (index < odd ? 7 : 1));
/** Rows of a box edge, a score and a class. */
const hundredRows = (swapped: number) =>
  Array.from({ length: 100 }, (_, index) => [index < swapped ? 900 : index * 3, 0.5, index % 4]);

describe('two graphs are taken to answer the same', () => {
  it.each<[string, number[], number[], Part['compare'], boolean]>([
    ['where they do', [0.5, 0.5], [0.5, 0.5], 'values', true],
    ['where rounding alone tells them apart', [0.5, 0.5], [0.50005, 0.5], 'values', true],
    ['not where a score is off by more than 1e-4', [0.5, 0.5], [0.5002, 0.5], 'values', false],
    ['where that is little beside most of the values', [100, 90, 0.5], [100, 90, 0.505], 'values', true],
    ['not where it is so beside one huge value alone', [-1e9, 1, 0.5], [-1e9, 1, 0.6], 'values', false],
    [
      'not where it is so beside one huge box alone',
      [1e9, 1, 2, 3, 4].flatMap((x) => [x, 0.5]),
      [1e9, 1, 2, 3, 5].flatMap((x) => [x, 0.5]),
      { columns: 2 },
      false,
    ],
    ['not where one answers what is no number', [0.5, 0.5], [Number.NaN, 0.5], 'values', false],
    ['not where one has fewer values', [0.5, 0.5], [0.5], 'values', false],
    ['where one class of a thousand is turned over', thousand(0), thousand(1), 'indices', true],
    ['not where two of a thousand are', thousand(0), thousand(2), 'indices', false],
    ['not where one has fewer classes', thousand(0), thousand(0).slice(1), 'indices', false],
    [
      'where the rows are the same in another order',
      [1, 0.5, 2, 0.4],
      [2, 0.4, 1, 0.5],
      { columns: 2 },
      true,
    ],
    ['not where one row of two is another', [1, 0.5, 2, 0.4], [1, 0.5, 3, 0.4], { columns: 2 }, false],
    ['not where a small column is off beside a large one', [900, 0.5], [900, 0.51], { columns: 2 }, false],
    [
      'where two rows of a hundred are swapped',
      hundredRows(0).flat(),
      hundredRows(2).flat(),
      { columns: 3 },
      true,
    ],
    ['not where three are', hundredRows(0).flat(), hundredRows(3).flat(), { columns: 3 }, false],
    ['not where one has a row more', [1, 0.5], [1, 0.5, 1, 0.5], { columns: 2 }, false],
    ['where neither has any', [], [], { columns: 6 }, true],
  ])('%s', (_, wanted, found, compare, equal) => {
    expect(differenceOf(part(wanted, compare), part(found, compare)) === null).toBe(equal);
  });
});
