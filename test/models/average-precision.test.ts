import { describe, expect, it } from 'vitest';
import type { Box } from '../../models/shapes/generator/scene.ts';
import {
  averagePrecision,
  averagePrecisions,
  iou,
  type Placed,
  type Scored,
} from '../../models/shapes/recipe/average-precision.ts';

const square = (x: number, y = 0): Box => ({ x, y, width: 10, height: 10 });
const object = (x: number, picture = 0, index = 0): Placed => ({ picture, index, box: square(x) });
const answer = (score: number, x: number, picture = 0, index = 0): Scored => ({
  ...object(x, picture, index),
  score,
});

describe('the overlap of two boxes', () => {
  it.each([
    ['the same box', square(0), square(0), 1],
    ['half of each: 50 of 150', square(0), square(5), 1 / 3],
    ['a quarter of each: 25 of 175', square(0), square(5, 5), 1 / 7],
    ['one within the other: 100 of 400', square(5, 5), { x: 0, y: 0, width: 20, height: 20 }, 1 / 4],
    ['edges that touch', square(0), square(10), 0],
    ['apart both ways', square(0), square(30, 30), 0],
  ])('%s', (_, one, other, expected) => {
    expect(iou(one, other)).toBeCloseTo(expected, 12);
    expect(iou(other, one)).toBeCloseTo(expected, 12);
  });
});

describe('average precision', () => {
  it('is the area under the highest precision of any recall from there on', () => {
    // From the highest score: right, wrong, right, wrong, wrong, right; the fourth object is never found. Precisions at the
    // right ones: 1, 2/3, 3/6, each for a quarter of the recall.
    const objects = [object(0), object(100), object(200), object(300)];
    const answers = [
      answer(0.4, 500),
      answer(0.9, 0),
      answer(0.7, 100),
      answer(0.8, 600),
      answer(0.3, 200),
      answer(0.5, 700),
    ];
    expect(averagePrecision(answers, objects)).toBeCloseTo((1 + 2 / 3 + 3 / 6) / 4, 12);
  });

  it('takes a later and higher precision for the recalls before it', () => {
    // Wrong, right, right: precisions 1/2 and 2/3, of which the second holds for both.
    const answers = [answer(0.9, 500), answer(0.8, 0), answer(0.7, 100)];
    expect(averagePrecision(answers, [object(0), object(100)])).toBeCloseTo(2 / 3, 12);
  });

  it('counts an object once: the second answer to it is a mistake', () => {
    // Right, twice the same, right: precisions 1 and 2/3.
    const answers = [answer(0.9, 0), answer(0.8, 1), answer(0.7, 100)];
    expect(averagePrecision(answers, [object(0), object(100)])).toBeCloseTo((1 + 2 / 3) / 2, 12);
  });

  it('judges an answer by the object it overlaps most, though another were still to be found', () => {
    // The second answer overlaps the first object by 9/11 and the second by 7/13, which is enough, but is less.
    const answers = [answer(0.9, 0), answer(0.8, 1)];
    expect(averagePrecision(answers, [object(0), object(4)])).toBeCloseTo(1 / 2, 12);
  });

  it('asks for an overlap of a half, and takes exactly that', () => {
    const half: Scored = { picture: 0, index: 0, score: 0.9, box: { x: 0, y: 0, width: 10, height: 5 } };
    const less: Scored = { ...half, box: { x: 0, y: 0, width: 10, height: 4.99 } };
    expect(averagePrecision([half], [object(0)])).toBe(1);
    expect(averagePrecision([less], [object(0)])).toBe(0);
    expect(averagePrecision([less], [object(0)], 0.4)).toBe(1);
  });

  it('looks for objects in the answer’s own picture', () => {
    expect(averagePrecision([answer(0.9, 0, 1)], [object(0, 0)])).toBe(0);
    expect(averagePrecision([answer(0.9, 0, 1)], [object(0, 1), object(0, 0)])).toBe(1 / 2);
  });

  it('is 0 where nothing was answered', () => {
    expect(averagePrecision([], [object(0)])).toBe(0);
  });

  it('is taken by class, for the classes that there are objects of', () => {
    const objects = [object(0, 0, 3), object(100, 0, 5)];
    // The answer of class 5 lies on the object of class 3; class 7 has no object.
    const answers = [answer(0.9, 0, 0, 3), answer(0.8, 0, 0, 5), answer(0.7, 0, 0, 7)];
    expect([...averagePrecisions(answers, objects)]).toEqual([
      [3, 1],
      [5, 0],
    ]);
  });
});
