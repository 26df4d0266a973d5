import { describe, expect, test } from 'vitest';
import { placeImage } from '../../../../src/inference/images/geometry.ts';
import { detect, MAX_CANDIDATES } from '../../../../src/inference/tasks/detect/detect.ts';
import type { DetectOutput, InputGeometry } from '../../../../src/inference/variant.ts';
import { numbersFrom } from '../../../../src/lib/numbers-from.ts';
import { geometry } from '../../images/pictures.ts';
import { plainBoxes, proposals, reading, tensor } from './tensors.ts';

const failed = expect.objectContaining({ code: 'INFERENCE_FAILED' });

test('answers what was found, highest score first, equal ones in the order of their anchors', () => {
  const found = detect(
    proposals([1, 2, 11, 22, 0.5, 0], [40, 0, 60, 20, 0, 0.75], [70, 70, 80, 80, 0.5, 0.25]),
    reading(),
  );
  expect(found).toEqual([
    { label: 'dog', index: 1, score: 0.75, box: { x: 40, y: 0, width: 20, height: 20 } },
    { label: 'cat', index: 0, score: 0.5, box: { x: 1, y: 2, width: 10, height: 20 } },
    { label: 'cat', index: 0, score: 0.5, box: { x: 70, y: 70, width: 10, height: 10 } },
  ]);
});

test('leaves out what scores below minScore, and keeps what equals it', () => {
  const tensors = proposals([0, 0, 10, 10, 0.5, 0], [50, 50, 60, 60, 0.25, 0]);
  expect(detect(tensors, reading({ minScore: 0.25 }))).toHaveLength(2);
  expect(detect(tensors, reading({ minScore: 0.26 }))).toHaveLength(1);
  expect(detect(tensors, reading({ minScore: 0.75 }))).toEqual([]);
});

test('answers one object an anchor, its best class', () => {
  const found = detect(proposals([0, 0, 10, 10, 0.75, 0.5]), reading({ minScore: 0 }));
  expect(found.map(({ index }) => index)).toEqual([0]);
});

test('never answers the background', () => {
  const tensors = proposals([0, 0, 10, 10, 0.75, 0.25], [50, 50, 60, 60, 1, 0]);
  const output: DetectOutput = { ...plainBoxes, background: 0 };
  expect(detect(tensors, reading({ output })).map(({ label }) => label)).toEqual(['dog']);
});

test('answers nothing where there is no class but the background', () => {
  const output: DetectOutput = { ...plainBoxes, background: 0 };
  const found = detect(proposals([0, 0, 10, 10, 1]), reading({ output, labels: ['none'], minScore: 0 }));
  expect(found).toEqual([]);
});

test('suppresses what overlaps within a class, and not across classes', () => {
  const tensors = proposals(
    [0, 0, 10, 10, 0.5, 0],
    [0, 0, 10, 9, 0.75, 0],
    [0, 0, 10, 10, 0, 0.5],
    [0, 0, 10, 8, 0.25, 0],
  );
  expect(detect(tensors, reading()).map(({ index, score }) => [index, score])).toEqual([
    [0, 0.75],
    [1, 0.5],
  ]);
});

test('an image without objects, a head without anchors', () => {
  expect(detect(proposals([0, 0, 10, 10, 0.1, 0.1]), reading())).toEqual([]);
  expect(detect(proposals(), reading())).toEqual([]);
});

describe('clipping', () => {
  const boxOf = (...edges: number[]) => detect(proposals([...edges, 1, 0]), reading()).map(({ box }) => box);

  test.each([
    ['at every side', [-5, -5, 105, 105], { x: 0, y: 0, width: 100, height: 100 }],
    ['at the top left', [-5, -7, 20, 30], { x: 0, y: 0, width: 20, height: 30 }],
    ['at the bottom right', [90, 80, 120, 110], { x: 90, y: 80, width: 10, height: 20 }],
    ['not at all', [0, 0, 100, 100], { x: 0, y: 0, width: 100, height: 100 }],
  ])('%s', (_name, edges, box) => {
    expect(boxOf(...edges)).toEqual([box]);
  });

  test.each([
    ['left of the picture', [-20, 10, -1, 20]],
    ['touching it from outside', [100, 10, 120, 20]],
    ['below it', [10, 101, 20, 120]],
    ['without width', [10, 10, 10, 20]],
    ['without height', [10, 10, 20, 10]],
    ['with its edges the wrong way round', [20, 20, 10, 10]],
  ])('drops a box %s', (_name, edges) => {
    expect(boxOf(...edges)).toEqual([]);
  });

  test('a dropped box suppresses nothing', () => {
    const tensors = proposals([-20, 0, -0.5, 10, 1, 0], [-20, 0, 1, 10, 0.75, 0]);
    expect(detect(tensors, reading()).map(({ score }) => score)).toEqual([0.75]);
  });

  test('dropped boxes do not count towards maxDetections', () => {
    const tensors = proposals([-20, 0, -10, 10, 1, 0], [0, 0, 10, 10, 0.75, 0], [20, 20, 30, 30, 0.5, 0]);
    const found = detect(tensors, reading({ maxDetections: 1 }));
    expect(found.map(({ score }) => score)).toEqual([0.75]);
  });
});

describe('what cannot be read fails the image', () => {
  const good = [0, 0, 10, 10, 0.5, 0.25];

  test.each([
    ['a score that is no number', [0, 0, 10, 10, Number.NaN, 0.9]],
    ['one beside a better score', [0, 0, 10, 10, 0.9, Number.NaN]],
    ['a score above 1', [0, 0, 10, 10, 1.01, 0]],
    ['a score below 0', [0, 0, 10, 10, 0.9, -0.01]],
    ['an endless score', [0, 0, 10, 10, Number.POSITIVE_INFINITY, 0]],
    ['an edge that is no number', [Number.NaN, 0, 10, 10, 0.5, 0]],
    ['an endless edge', [0, 0, Number.POSITIVE_INFINITY, 10, 0.5, 0]],
    ['two endless edges', [Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY, 10, 0.5, 0]],
  ])('%s', (_name, bad) => {
    expect(() => detect(proposals(good, bad), reading())).toThrow(failed);
    expect(() => detect(proposals(bad, good), reading())).toThrow(failed);
  });

  test('a broken score does, however high minScore is', () => {
    const tensors = proposals(good, [0, 0, 10, 10, 0, Number.NaN]);
    expect(() => detect(tensors, reading({ minScore: 1 }))).toThrow(failed);
  });

  test('a broken objectness or class does', () => {
    const output: DetectOutput = { kind: 'yolox', tensor: 'out', strides: [8] };
    const input = geometry({ width: 8, height: 8 });
    const read = (...row: number[]) => detect([tensor([1, 7], row)], reading({ output, input, minScore: 1 }));
    expect(read(0, 0, 0, 0, 0.5, 0.5, 0.5)).toEqual([]);
    for (const broken of [Number.NaN, 2, -1]) {
      expect(() => read(0, 0, 0, 0, broken, 0.5, 0.5)).toThrow(failed);
      expect(() => read(0, 0, 0, 0, 0.5, 0.5, broken)).toThrow(failed);
    }
  });

  test('a raw score that is no number does', () => {
    const anchors = [[4, 4]];
    const output: DetectOutput = { kind: 'yolov5', tensor: 'out', strides: [8], anchors };
    const input = geometry({ width: 8, height: 8 });
    const read = (...row: number[]) => detect([tensor([1, 7], row)], reading({ output, input }));
    expect(() => read(0, 0, 0, 0, Number.NaN, 0, 0)).toThrow(failed);
    expect(() => read(0, 0, 0, 0, 0, 0, Number.NaN)).toThrow(failed);
    expect(read(0, 0, 0, 0, 90, -90, 90).map(({ index, score }) => [index, score])).toEqual([[1, 1]]);
  });

  test('a size whose exponential is endless does', () => {
    const output: DetectOutput = { kind: 'yolox', tensor: 'out', strides: [8] };
    const input = geometry({ width: 8, height: 8 });
    expect(() => detect([tensor([1, 7], [0, 0, 1e4, 0, 1, 1, 0])], reading({ output, input }))).toThrow(
      failed,
    );
  });

  test('a box that no one asked for does not', () => {
    expect(detect(proposals(good, [Number.NaN, 0, 10, 10, 0.1, 0]), reading())).toHaveLength(1);
  });

  test('rounding beyond 0 and 1 is none', () => {
    const found = detect(proposals([0, 0, 10, 10, 1.0005, -0.0005]), reading());
    expect(found.map(({ score }) => score)).toEqual([1]);
  });
});

test('one anchor, on an input of one cell', () => {
  const output: DetectOutput = { kind: 'yolov8', tensor: 'out', strides: [8] };
  const input = geometry({ width: 8, height: 8 });
  const found = detect([tensor([6, 1], [4, 4, 4, 2, 0.25, 0.5])], reading({ output, input }));
  expect(found).toEqual([
    { label: 'dog', index: 1, score: 0.5, box: { x: 25, y: 37.5, width: 50, height: 25 } },
  ]);
});

test('of more candidates than are looked at, the highest scores are kept', () => {
  const random = numbersFrom(3);
  const scores = Float32Array.from({ length: MAX_CANDIDATES + 500 }, random);
  const boxes = Float32Array.from({ length: 4 * scores.length }, (_, at) => {
    const corner = 3 * Math.floor(at / 4);
    return at % 4 < 2 ? corner : corner + 1;
  });
  const side = 3 * scores.length;
  const size = { width: side, height: side };
  const found = detect(
    [tensor([scores.length, 4], boxes), tensor([scores.length, 1], scores)],
    reading({
      labels: ['cat'],
      original: size,
      input: geometry(size),
      minScore: 0,
      maxDetections: scores.length,
    }),
  );
  expect(found.map(({ score }) => score)).toEqual([...scores].sort((a, b) => b - a).slice(0, MAX_CANDIDATES));
});

describe('a box drawn in the original comes back', () => {
  const placements: [string, Partial<InputGeometry>][] = [
    ['fill', { width: 320, height: 240, fit: 'fill' }],
    ['fill, odd', { width: 333, height: 97, fit: 'fill' }],
    ['contain, centre', { width: 416, height: 416, fit: 'contain', align: 'center' }],
    ['contain, centre, wide', { width: 641, height: 383, fit: 'contain', align: 'center' }],
    ['contain, top left', { width: 416, height: 416, fit: 'contain', align: 'top-left' }],
    ['contain, top left, tall', { width: 199, height: 501, fit: 'contain', align: 'top-left' }],
    ['cover', { width: 224, height: 224, fit: 'cover', resizeShort: 256 }],
    ['cover, wide', { width: 513, height: 221, fit: 'cover', resizeShort: null }],
  ];
  const originals = [
    { width: 640, height: 480 },
    { width: 1, height: 1 },
    { width: 1351, height: 899 },
    { width: 37, height: 1013 },
    { width: 997, height: 53 },
  ];

  test.each(placements)('%s', (_name, overrides) => {
    const random = numbersFrom(7);
    const input = geometry(overrides);
    const output: DetectOutput = { ...plainBoxes, normalized: true };
    for (const original of originals) {
      const { resized, cropLeft, cropTop, padLeft, padTop } = placeImage(original, input);
      // As the pixels move: resized, then cropped or laid into the letterbox.
      const forwardX = (x: number) => (x / original.width) * resized.width - cropLeft + padLeft;
      const forwardY = (y: number) => (y / original.height) * resized.height - cropTop + padTop;
      for (let round = 0; round < 50; round++) {
        const [x1, x2] = [random(), random()].sort((a, b) => a - b).map((share) => share * original.width);
        const [y1, y2] = [random(), random()].sort((a, b) => a - b).map((share) => share * original.height);
        const edges = [forwardX(x1!), forwardY(y1!), forwardX(x2!), forwardY(y2!)];
        const shares = edges.map((edge, side) => edge / (side % 2 === 0 ? input.width : input.height));
        const [found] = detect(proposals([...shares, 1, 0]), reading({ output, original, input }));
        const close = (value: number, expected: number) =>
          expect(Math.abs(value - expected)).toBeLessThan(1e-3);
        close(found!.box.x, x1!);
        close(found!.box.y, y1!);
        close(found!.box.x + found!.box.width, x2!);
        close(found!.box.y + found!.box.height, y2!);
      }
    }
  });

  test('what lies in the letterbox alone is dropped', () => {
    const input = geometry({ fit: 'contain', width: 100, height: 100, align: 'center' });
    const tensors = proposals([10, 0, 90, 24, 1, 0], [10, 20, 90, 60, 0.5, 0]);
    const found = detect(tensors, reading({ input, original: { width: 200, height: 100 } }));
    expect(found.map(({ box }) => box)).toEqual([{ x: 20, y: 0, width: 160, height: 70 }]);
  });

  test('what reaches beyond a crop is clipped to the picture, not to the crop', () => {
    const input = geometry({ fit: 'cover', width: 100, height: 100 });
    const found = detect(
      proposals([-30, 10, 50, 20, 1, 0]),
      reading({ input, original: { width: 200, height: 100 } }),
    );
    expect(found.map(({ box }) => box)).toEqual([{ x: 20, y: 10, width: 80, height: 10 }]);
  });
});

/** All steps again, each as it is defined and none as it is done. */
test.each([0.05, 0.3, 0.6])('a whole detector at minScore %d', (minScore) => {
  const random = numbersFrom(11);
  const input = geometry({ width: 96, height: 64, fit: 'contain', align: 'center' });
  const original = { width: 301, height: 157 };
  const labels = ['a', 'b', 'c'];
  const rows: number[][] = [];
  const all: { order: number; index: number; score: number; edges: number[] }[] = [];
  for (const stride of [8, 16]) {
    for (let y = 0; y < 64 / stride; y++) {
      for (let x = 0; x < 96 / stride; x++) {
        const row = Array.from({ length: 8 }, (_, column) =>
          Math.fround(column < 4 ? 2 * random() - 0.5 : random()),
        );
        rows.push(row);
        const [tx, ty, tw, th, objectness, ...scores] = row as [number, number, number, number, number];
        const best = Math.max(...(scores as number[]));
        const [cx, cy, w, h] = [
          (tx + x) * stride,
          (ty + y) * stride,
          Math.exp(tw) * stride,
          Math.exp(th) * stride,
        ];
        all.push({
          order: all.length,
          index: (scores as number[]).indexOf(best),
          score: objectness * best,
          edges: [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2],
        });
      }
    }
  }
  const overlap = (a: number[], b: number[]) => {
    const shared = [0, 1].map((axis) =>
      Math.max(0, Math.min(a[axis + 2]!, b[axis + 2]!) - Math.max(a[axis]!, b[axis]!)),
    );
    const areaOf = (c: number[]) => (c[2]! - c[0]!) * (c[3]! - c[1]!);
    const both = shared[0]! * shared[1]!;
    return both / (areaOf(a) + areaOf(b) - both);
  };
  // 301 × 157 fits 96 × 64 as 96 × 50, seven rows below the top.
  const showsAny = ([x1, y1, x2, y2]: number[]) => x1! < 96 && x2! > 0 && y1! < 57 && y2! > 7;
  let left = all
    .filter(({ score, edges }) => score >= minScore && showsAny(edges))
    .sort((a, b) => b.score - a.score);
  const expected: { index: number; score: number; edges: number[] }[] = [];
  while (left.length > 0) {
    const [first, ...others] = left;
    expected.push(first!);
    left = others.filter(({ index, edges }) => index !== first!.index || overlap(edges, first!.edges) <= 0.3);
  }
  const inOriginal = expected
    .map(({ index, score, edges }) => ({
      index,
      score,
      edges: edges.map((edge, side) =>
        side % 2 === 0
          ? Math.min(301, Math.max(0, (edge * 301) / 96))
          : Math.min(157, Math.max(0, ((edge - 7) * 157) / 50)),
      ),
    }))
    .slice(0, 20);
  const output: DetectOutput = { kind: 'yolox', tensor: 'out', strides: [8, 16] };
  const found = detect(
    [tensor([rows.length, 8], rows.flat())],
    reading({ output, labels, input, original, minScore, iouThreshold: 0.3, maxDetections: 20 }),
  );
  expect(found.map(({ label, index }) => [label, index])).toEqual(
    inOriginal.map(({ index }) => [labels[index], index]),
  );
  expect(found.length).toBeGreaterThan(0);
  found.forEach(({ score, box }, place) => {
    expect(score).toBeCloseTo(inOriginal[place]!.score, 6);
    [box.x, box.y, box.x + box.width, box.y + box.height].forEach((edge, side) => {
      expect(edge).toBeCloseTo(inOriginal[place]!.edges[side]!, 3);
    });
  });
});
