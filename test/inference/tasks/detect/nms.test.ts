import { describe, expect, test } from 'vitest';
import { suppressOverlaps } from '../../../../src/inference/tasks/detect/nms.ts';
import { numbersFrom } from '../../../../src/lib/numbers-from.ts';

type Edges = readonly [number, number, number, number];

/** Which boxes of one list, highest score first, are kept; all of one class unless `classes` says otherwise. */
function kept(boxes: readonly Edges[], iouThreshold: number, classes: readonly number[] = []): number[] {
  const proposals = boxes.map(([x1, y1, x2, y2], place) => ({
    x1,
    y1,
    x2,
    y2,
    index: classes[place] ?? 0,
    place,
  }));
  return [...suppressOverlaps(proposals, iouThreshold)].map(({ place }) => place);
}

const unit: Edges = [0, 0, 10, 10];
/** Shares half of `unit`: 50 of 150, an IoU of 1/3. */
const shifted: Edges = [5, 0, 15, 10];

describe('suppression of overlaps', () => {
  test('drops the lower of two that overlap more than the threshold', () => {
    expect(kept([unit, shifted], 0.3)).toEqual([0]);
    expect(kept([unit, shifted], 0.34)).toEqual([0, 1]);
  });

  test('keeps two that overlap by the threshold exactly', () => {
    // The second is a quarter of the first.
    expect(kept([unit, [0, 0, 5, 5]], 0.25)).toEqual([0, 1]);
    expect(kept([unit, [0, 0, 5, 5]], 0.2499)).toEqual([0]);
  });

  test.each([
    ['side by side', [10, 0, 20, 10]],
    ['one above the other', [0, 10, 10, 20]],
    ['by a corner', [10, 10, 20, 20]],
  ] as [string, Edges][])('keeps what only touches: %s', (_name, other) => {
    expect(kept([unit, other], 0)).toEqual([0, 1]);
  });

  test('drops the smallest overlap at threshold 0', () => {
    expect(kept([unit, [9.99, 9.99, 20, 20]], 0)).toEqual([0]);
  });

  test('keeps one of identical boxes, the first', () => {
    expect(kept([unit, unit, unit], 0.99)).toEqual([0]);
  });

  test('drops nothing at threshold 1, not even identical boxes', () => {
    expect(kept([unit, unit, [0.1, 0.2, 0.7, 0.9], [0.1, 0.2, 0.7, 0.9]], 1)).toEqual([0, 1, 2, 3]);
  });

  test('leaves classes apart', () => {
    expect(kept([unit, unit, unit, unit], 0.5, [0, 1, 0, 1])).toEqual([0, 1]);
  });

  test('a box that was dropped drops none itself', () => {
    const far: Edges = [10, 0, 20, 10];
    expect(kept([unit, shifted, far], 0.3)).toEqual([0, 2]);
  });

  test('boxes without area, or with their edges the wrong way round, neither drop nor are dropped', () => {
    const point: Edges = [5, 5, 5, 5];
    const turned: Edges = [8, 8, 2, 2];
    const allTurned: Edges = [10, 10, 0, 0];
    expect(kept([point, unit, point, turned, turned, allTurned], 0)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(kept([turned, unit], 0)).toEqual([0, 1]);
  });

  test('of none is none', () => {
    expect(kept([], 0.5)).toEqual([]);
  });

  test('looks at no more boxes than are asked for', () => {
    const seen: number[] = [];
    function* boxes() {
      for (let place = 0; place < 5; place++) {
        seen.push(place);
        yield { x1: 20 * place, y1: 0, x2: 20 * place + 10, y2: 10, index: 0 };
      }
    }
    const some = suppressOverlaps(boxes(), 0.5);
    expect([some.next().value?.x1, some.next().value?.x1]).toEqual([0, 20]);
    expect(seen).toEqual([0, 1]);
  });

  /** The definition by itself: a box is kept if it is above no threshold with any kept of its class before it. */
  test.each([0, 0.2, 0.45, 0.7])('agrees with a count of pixels at threshold %d', (threshold) => {
    const random = numbersFrom(1 + threshold * 100);
    const side = () => Math.floor(random() * 12);
    const boxes = Array.from({ length: 60 }, (): Edges => {
      const [x, y] = [side(), side()];
      return [x, y, x + 1 + side(), y + 1 + side()];
    });
    const classes = boxes.map(() => Math.floor(random() * 3));
    const pixels = boxes.map(([x1, y1, x2, y2]) => {
      const covered = new Set<number>();
      for (let x = x1; x < x2; x++) for (let y = y1; y < y2; y++) covered.add(100 * x + y);
      return covered;
    });
    const expected: number[] = [];
    for (let place = 0; place < boxes.length; place++) {
      const free = expected.every((other) => {
        if (classes[other] !== classes[place]) return true;
        const union = new Set([...pixels[other]!, ...pixels[place]!]).size;
        const shared = pixels[other]!.size + pixels[place]!.size - union;
        return shared / union <= threshold;
      });
      if (free) expected.push(place);
    }
    expect(expected.length).toBeLessThan(boxes.length);
    expect(kept(boxes, threshold, classes)).toEqual(expected);
  });
});
