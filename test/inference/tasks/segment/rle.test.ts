import { describe, expect, it } from 'vitest';
import { decodeRle, RleWriter } from '../../../../src/inference/tasks/segment/rle.ts';

type Inside = (x: number, y: number) => boolean;

function encode(width: number, height: number, inside: Inside): string {
  const writer = new RleWriter();
  for (let at = 0; at < width * height; at++) {
    if (inside(Math.floor(at / height), at % height)) writer.add(at, at + 1);
  }
  return writer.finish(width * height);
}

/** From a drawing, `#` where the object is. */
const drawn =
  (...rows: string[]): Inside =>
  (x, y) =>
    rows[y]![x] === '#';

/**
 * The first three by hand: a count below 16 is one group of five bits with 48 added; the fourth count is written as 1 − 2,
 * which is 31 in five bits with a sign. The others were computed with pycocotools 2.0.11, `mask.encode`.
 */
const masks: readonly (readonly [
  name: string,
  width: number,
  height: number,
  inside: Inside,
  rle: string,
])[] = [
  ['nothing', 4, 2, () => false, '8'],
  ['all of it', 2, 2, () => true, '04'],
  ['columns one after the other', 3, 3, drawn('.#.', '.#.', '..#'), '323O'],
  [
    'a disc',
    40,
    30,
    (x, y) => (x - 20) ** 2 + (y - 12) ** 2 < 100,
    'b:9d02M4N0O2N2O0000000000000001N2N102L3NU9',
  ],
  ['stripes', 50, 40, (x) => Math.floor(x / 7) % 2 === 1, 'h8h8h80000`H'],
  ['single pixels', 9, 7, (x, y) => (x * 5 + y * 3) % 4 === 0, '01300000000000000000000000000000O'],
  [
    'long runs',
    1000,
    700,
    (x, y) => (x >= 300 && x < 450) || (x >= 900 && x < 903 && y < 9),
    '`R]6XaV3hcc9Q_iLkQ]F000lYR2',
  ],
];

describe('masks are encoded as COCO does', () => {
  it.each(masks)('%s', (_, width, height, inside, rle) => {
    expect(encode(width, height, inside)).toBe(rle);
    const counts = decodeRle(rle, { width, height });
    const writer = new RleWriter();
    let at = 0;
    for (const [index, count] of counts.entries()) {
      if (index % 2 === 1) writer.add(at, at + count);
      at += count;
    }
    expect(writer.finish(at)).toBe(rle);
  });

  it('runs that touch are one', () => {
    const writer = new RleWriter();
    for (const [from, to] of [
      [0, 2],
      [2, 5],
      [7, 8],
      [8, 9],
    ] as const)
      writer.add(from, to);
    expect([...decodeRle(writer.finish(12), { width: 4, height: 3 })]).toEqual([0, 5, 2, 2, 3]);
  });
});

it.each([
  ['too short', '7'],
  ['too long', '9'],
  ['cut off', '8X'],
  ['a negative count', '040O'],
  ['no digit', '8!'],
  ['no end', '8ooooooooo'],
  ['nothing', ''],
])('%s is no mask of 4 × 2', (_, rle) => {
  expect(() => decodeRle(rle, { width: 4, height: 2 })).toThrow(
    new RangeError('expected the run-length encoding of a mask of 4 × 2 pixels'),
  );
});
