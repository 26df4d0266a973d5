import { describe, expect, test } from 'vitest';
import { detect } from '../../../../src/inference/tasks/detect/detect.ts';
import { boxColumns } from '../../../../src/inference/tasks/detect/detections.ts';
import type { Tensor } from '../../../../src/inference/tensor.ts';
import type { DetectOutput } from '../../../../src/inference/variant.ts';
import { geometry } from '../../images/pictures.ts';
import { reading, tensor } from './tensors.ts';

const failed = expect.objectContaining({ code: 'INFERENCE_FAILED' });

describe('ssd', () => {
  const output: DetectOutput = {
    kind: 'ssd',
    boxes: 'boxes',
    scores: 'scores',
    classes: 'classes',
    count: 'count',
    format: 'yxyx',
    normalized: true,
  };
  const boxes = tensor([3, 4], [0.1, 0.2, 0.3, 0.6, 0.5, 0.5, 1, 1, 0, 0, 1, 1]);
  const scores = tensor([3], [0.5, 0.75, 1]);
  const classes = tensor([3], [1, 0, 1]);
  const count = tensor([1], [2]);
  const wide = { input: geometry({ width: 200, height: 100 }), original: { width: 200, height: 100 } };
  const read = (tensors: Tensor[], overrides: Partial<DetectOutput> = {}) =>
    detect(tensors, reading({ output: { ...output, ...overrides } as DetectOutput, ...wide }));

  test('the first rows count, highest score first', () => {
    const found = read([boxes, scores, classes, count]);
    expect(found.map(({ label, index, score }) => [label, index, score])).toEqual([
      ['cat', 0, 0.75],
      ['dog', 1, 0.5],
    ]);
    expect(found[0]!.box).toEqual({ x: 100, y: 50, width: 100, height: 50 });
    expect(found[1]!.box.x).toBeCloseTo(40, 4);
    expect(found[1]!.box.y).toBeCloseTo(10, 4);
    expect(found[1]!.box.width).toBeCloseTo(80, 4);
    expect(found[1]!.box.height).toBeCloseTo(20, 4);
  });

  test('boxes may come by x first, and in pixels', () => {
    const pixels = tensor([3, 4], [10, 20, 30, 60, 1, 2, 3, 4, 0, 0, 0, 0]);
    const found = read([pixels, scores, classes, count], { format: 'xyxy', normalized: false });
    expect(found[1]!.box).toEqual({ x: 10, y: 20, width: 20, height: 40 });
  });

  test('classes and count may be whole numbers, and the count no list', () => {
    const small = read([boxes, scores, tensor([3], Int32Array.of(1, 0, 1)), tensor([], Int32Array.of(2))]);
    const large = read([
      boxes,
      scores,
      tensor([3], BigInt64Array.of(1n, 0n, 1n)),
      tensor([1], BigInt64Array.of(2n)),
    ]);
    const floats = read([boxes, scores, classes, count]);
    expect(small).toEqual(floats);
    expect(large).toEqual(floats);
  });

  test.each([0, 3])('a count of %i', (counted) => {
    expect(read([boxes, scores, classes, tensor([1], [counted])])).toHaveLength(counted);
  });

  test('no rows at all', () => {
    const none = [tensor([0, 4], []), tensor([0], []), tensor([0], []), tensor([1], [0])];
    expect(read(none)).toEqual([]);
  });

  test.each([4, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses a count of %d', (counted) => {
    const counting = () => read([boxes, scores, classes, tensor([1], [counted])]);
    expect(counting).toThrow(failed);
    expect(counting).toThrow(`counted ${counted} objects in this image`);
  });

  test.each([2, -1, 0.5, Number.NaN])('refuses class %d, which is no label', (index) => {
    expect(() => read([boxes, scores, tensor([3], [1, index, 1]), count])).toThrow(failed);
  });

  test('does not look at the rows that fill up', () => {
    const filled = [
      tensor([3, 4], [0, 0, 1, 1, 0, 0, 1, 1, Number.NaN, 0, 0, 0]),
      tensor([3], [0.5, 0.75, Number.NaN]),
      tensor([3], [1, 0, -1]),
    ];
    expect(read([...filled, count])).toHaveLength(2);
  });

  test('refuses scores, classes and boxes of different lengths', () => {
    expect(() => read([boxes, tensor([2], [1, 1]), classes, count])).toThrow(failed);
    expect(() => read([boxes, scores, tensor([4], [1, 1, 1, 1]), count])).toThrow(failed);
    expect(() => read([tensor([2, 4], [0, 0, 1, 1, 0, 0, 1, 1]), scores, classes, count])).toThrow(failed);
  });

  test('suppresses nothing itself', () => {
    const same = tensor([3, 4], [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
    expect(read([same, scores, tensor([3], [1, 1, 1]), tensor([1], [3])])).toHaveLength(3);
  });
});

describe('detections', () => {
  const rowsOf = (columns: readonly string[], ...rows: Record<string, number>[]) =>
    tensor(
      [rows.length, columns.length],
      rows.flatMap((row) => columns.map((column) => row[column]!)),
    );
  const read = (
    columns: readonly string[],
    rows: Record<string, number>[],
    normalized = false,
    overrides = {},
  ) =>
    detect(
      [rowsOf(columns, ...rows)],
      reading({ output: { kind: 'detections', tensor: 'out', columns, normalized }, ...overrides }),
    );

  const values = { x1: 20, y1: 30, x2: 60, y2: 40, cx: 40, cy: 35, x: 20, y: 30, w: 40, h: 10 };
  const object = { ...values, score: 0.75, class: 1, batch: 0 };
  const expected = { label: 'dog', index: 1, score: 0.75, box: { x: 20, y: 30, width: 40, height: 10 } };

  test.each(boxColumns.map((columns) => [columns.join(' '), columns] as const))(
    '%s in any place',
    (_name, box) => {
      expect(read([...box, 'score', 'class'], [object])).toEqual([expected]);
      expect(read(['batch', ...box, 'class', 'score'], [object])).toEqual([expected]);
      expect(read(['class', 'score', ...[...box].reverse()], [object])).toEqual([expected]);
    },
  );

  test.each(boxColumns.map((columns) => [columns.join(' '), columns] as const))(
    '%s as shares of the input',
    (_name, box) => {
      const shares = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value / 128]));
      const wide = { input: geometry({ width: 256, height: 128 }), original: { width: 256, height: 128 } };
      const found = read([...box, 'score', 'class'], [{ ...object, ...shares }], true, wide);
      expect(found).toEqual([{ ...expected, box: { x: 40, y: 30, width: 80, height: 10 } }]);
    },
  );

  const columns = ['x1', 'y1', 'x2', 'y2', 'score', 'class'];

  test('rows that fill up are left out, even where everything is asked for', () => {
    const rows = [{ ...object, score: 0 }, { ...object, class: -1 }, { ...object, score: -1 }, object];
    expect(read(columns, rows, false, { minScore: 0 })).toEqual([expected]);
  });

  test('suppresses nothing itself, sorts and cuts', () => {
    const rows = [0.5, 1, 0.75].map((score) => ({ ...object, score }));
    expect(read(columns, rows).map(({ score }) => score)).toEqual([1, 0.75, 0.5]);
    expect(read(columns, rows, false, { maxDetections: 2 }).map(({ score }) => score)).toEqual([1, 0.75]);
    expect(read(columns, rows, false, { minScore: 0.75 }).map(({ score }) => score)).toEqual([1, 0.75]);
  });

  test('no rows', () => {
    expect(read(columns, [])).toEqual([]);
  });

  test.each([
    ['a score that is no number', { score: Number.NaN }],
    ['a score above 1', { score: 1.5 }],
    ['a class beyond the labels', { class: 2 }],
    ['a class that is not whole', { class: 0.5 }],
    ['a class that is no number', { class: Number.NaN }],
    ['an edge that is no number', { x1: Number.NaN }],
    ['an endless edge', { y2: Number.POSITIVE_INFINITY }],
  ])('refuses %s', (_name, fault) => {
    expect(() => read(columns, [object, { ...object, ...fault }])).toThrow(failed);
  });

  test('refuses rows of another length', () => {
    const output: DetectOutput = { kind: 'detections', tensor: 'out', columns, normalized: false };
    expect(() => detect([tensor([1, 7], Array(7).fill(0))], reading({ output }))).toThrow(failed);
  });
});
