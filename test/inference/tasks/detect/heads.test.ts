import { describe, expect, test } from 'vitest';
import type { Size } from '../../../../src/inference/images/geometry.ts';
import { boxesScores } from '../../../../src/inference/tasks/detect/boxes-scores.ts';
import type { Candidates } from '../../../../src/inference/tasks/detect/candidates.ts';
import { nanodet } from '../../../../src/inference/tasks/detect/nanodet.ts';
import { yolov5 } from '../../../../src/inference/tasks/detect/yolov5.ts';
import { yolov8 } from '../../../../src/inference/tasks/detect/yolov8.ts';
import { yolox } from '../../../../src/inference/tasks/detect/yolox.ts';
import type { DetectOutput } from '../../../../src/inference/variant.ts';
import { numbersFrom } from '../../../../src/lib/numbers-from.ts';
import { tensor } from './tensors.ts';

/** What the formulae of a head's authors make of one anchor: a score a class, and the four edges. */
interface Expected {
  scores: number[];
  edges: number[];
}

function expectCandidates(found: Candidates, expected: readonly Expected[]) {
  expect(found.scores).toHaveLength(expected.length);
  expected.forEach(({ scores, edges }, anchor) => {
    const best = Math.max(...scores);
    expect(found.scores[anchor]).toBeCloseTo(best, 6);
    expect(scores[found.classes[anchor]!]).toBeCloseTo(best, 6);
    const { x1, y1, x2, y2 } = found.box(anchor);
    [x1, y1, x2, y2].forEach((edge, side) => {
      expect(Math.abs(edge - edges[side]!)).toBeLessThan(1e-3);
    });
  });
}

/** Every place of every map in turn, as nested loops. */
function places<T>(
  { width, height }: Size,
  strides: readonly number[],
  at: (x: number, y: number, stride: number) => T,
) {
  const found: T[] = [];
  for (const stride of strides) {
    for (let y = 0; y * stride < height; y++) {
      for (let x = 0; x * stride < width; x++) found.push(at(x, y, stride));
    }
  }
  return found;
}

const sigma = (t: number) => 1 - 1 / (1 + Math.exp(t));
const classes = 7;
const strides = [8, 16, 32];
const sizes = [
  { width: 64, height: 64 },
  { width: 128, height: 96 },
  { width: 32, height: 32 },
];
const named = sizes.map((size) => [`${size.width} × ${size.height}`, size] as const);

describe.each(named)('an input of %s', (_name, input) => {
  const random = numbersFrom(input.width);
  const logit = () => Math.fround(8 * random() - 4);
  const share = () => Math.fround(random());
  const frame = { input, classes };

  test('yolox', () => {
    const rows: number[][] = [];
    const expected = places(input, strides, (x, y, stride): Expected => {
      const [tx, ty, tw, th, objectness] = [logit(), logit(), logit(), logit(), share()] as const;
      const scores = Array.from({ length: classes }, share);
      rows.push([tx, ty, tw, th, objectness, ...scores]);
      const [cx, cy] = [tx * stride + x * stride, ty * stride + y * stride];
      const [halfWidth, halfHeight] = [(stride * Math.exp(tw)) / 2, (stride * Math.exp(th)) / 2];
      return {
        scores: scores.map((score) => objectness * score),
        edges: [cx - halfWidth, cy - halfHeight, cx + halfWidth, cy + halfHeight],
      };
    });
    const output: DetectOutput = { kind: 'yolox', tensor: 'out', strides };
    expectCandidates(yolox([tensor([rows.length, 12], rows.flat())], output, frame), expected);
  });

  test('yolov5, decoded in the graph', () => {
    const rows = Array.from({ length: 50 }, () => [
      ...Array.from({ length: 4 }, () => share() * 64),
      ...Array.from({ length: 1 + classes }, share),
    ]);
    const expected = rows.map(([cx, cy, w, h, objectness, ...scores]) => ({
      scores: scores.map((score) => objectness! * score),
      edges: [cx! - w! / 2, cy! - h! / 2, cx! + w! / 2, cy! + h! / 2],
    }));
    const output: DetectOutput = { kind: 'yolov5', tensor: 'out', strides, anchors: null };
    const found = yolov5([tensor([50, 5 + classes], rows.flat().map(Math.fround))], output, frame);
    expectCandidates(found, expected);
  });

  test('yolov5, raw', () => {
    const anchors = [
      [10, 13, 16, 30],
      [30, 61, 62, 45, 59, 119],
      [116, 90],
    ];
    const rows: number[][] = [];
    const expected: Expected[] = [];
    strides.forEach((stride, level) => {
      for (let pair = 0; pair < anchors[level]!.length; pair += 2) {
        const [anchorWidth, anchorHeight] = [anchors[level]![pair]!, anchors[level]![pair + 1]!];
        for (let y = 0; y < input.height / stride; y++) {
          for (let x = 0; x < input.width / stride; x++) {
            const row = Array.from({ length: 5 + classes }, logit);
            rows.push(row);
            const [sx, sy, sw, sh, objectness, ...scores] = row.map(sigma) as [
              number,
              number,
              number,
              number,
              number,
            ];
            const [cx, cy] = [(sx * 2 + x - 0.5) * stride, (sy * 2 + y - 0.5) * stride];
            const [w, h] = [4 * sw * sw * anchorWidth, 4 * sh * sh * anchorHeight];
            expected.push({
              scores: (scores as number[]).map((score) => score * objectness),
              edges: [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2],
            });
          }
        }
      }
    });
    const output: DetectOutput = { kind: 'yolov5', tensor: 'out', strides, anchors };
    expectCandidates(yolov5([tensor([rows.length, 5 + classes], rows.flat())], output, frame), expected);
  });

  test('yolov8, columns first and rows first', () => {
    const rows = places(input, strides, () => [
      ...Array.from({ length: 4 }, () => Math.fround(share() * 64)),
      ...Array.from({ length: classes }, share),
    ]);
    const expected = rows.map(([cx, cy, w, h, ...scores]) => ({
      scores,
      edges: [cx! - w! / 2, cy! - h! / 2, cx! + w! / 2, cy! + h! / 2],
    }));
    const columns = Array.from({ length: 4 + classes }, (_, column) => rows.map((row) => row[column]!));
    const output: DetectOutput = { kind: 'yolov8', tensor: 'out', strides };
    const columnsFirst = tensor([4 + classes, rows.length], columns.flat());
    expectCandidates(yolov8([columnsFirst], output, frame), expected);
    expectCandidates(yolov8([tensor([rows.length, 4 + classes], rows.flat())], output, frame), expected);
  });

  test.each([
    ['UltraFace’s form', 'xyxy', true, 0],
    ['in pixels', 'xyxy', false, null],
    ['by centres', 'cxcywh', false, 6],
    ['by centres, in shares', 'cxcywh', true, 3],
  ] as const)('boxes and scores: %s', (_form, format, normalized, background) => {
    const boxes = Array.from({ length: 40 }, () => Array.from({ length: 4 }, share));
    const scores = Array.from({ length: 40 }, () => Array.from({ length: classes }, share));
    const expected = boxes.map((box, anchor) => {
      const [scaleX, scaleY] = normalized ? [input.width, input.height] : [1, 1];
      const [a, b, c, d] = box as [number, number, number, number];
      const edges = format === 'xyxy' ? [a, b, c, d] : [a - c * 0.5, b - d * 0.5, a + c * 0.5, b + d * 0.5];
      return {
        scores: scores[anchor]!.map((score, index) => (index === background ? -1 : score)),
        edges: [edges[0]! * scaleX, edges[1]! * scaleY, edges[2]! * scaleX, edges[3]! * scaleY],
      };
    });
    const output: DetectOutput = {
      kind: 'boxes-scores',
      boxes: 'boxes',
      scores: 'scores',
      format,
      normalized,
      background,
    };
    const tensors = [tensor([40, 4], boxes.flat()), tensor([40, classes], scores.flat())];
    expectCandidates(boxesScores(tensors, output, frame), expected);
  });
});

/** NanoDet's sides need not be multiples of its strides. */
test.each([
  [416, 416, 7],
  [320, 192, 7],
  [100, 70, 10],
  [9, 65, 1],
])('nanodet, an input of %i × %i and regMax %i', (width, height, regMax) => {
  const random = numbersFrom(width);
  const rows: number[][] = [];
  const input = { width, height };
  const expected = places(input, [8, 16, 32, 64], (x, y, stride): Expected => {
    const scores = Array.from({ length: 3 }, () => Math.fround(random()));
    const edges = Array.from({ length: 4 }, () =>
      Array.from({ length: regMax + 1 }, () => Math.fround(12 * random() - 6)),
    );
    rows.push([...scores, ...edges.flat()]);
    const [left, top, right, bottom] = edges.map((logits) => {
      let [weighted, sum] = [0, 0];
      logits.forEach((t, bin) => {
        weighted += bin * Math.exp(t);
        sum += Math.exp(t);
      });
      return (weighted / sum) * stride;
    }) as [number, number, number, number];
    const clamp = (value: number, side: number) => (value < 0 ? 0 : value > side ? side : value);
    return {
      scores,
      edges: [
        clamp(x * stride - left, width),
        clamp(y * stride - top, height),
        clamp(x * stride + right, width),
        clamp(y * stride + bottom, height),
      ],
    };
  });
  const columns = 3 + 4 * (regMax + 1);
  const output: DetectOutput = { kind: 'nanodet', tensor: 'out', strides: [8, 16, 32, 64], regMax };
  const found = nanodet([tensor([rows.length, columns], rows.flat())], output, { input, classes: 3 });
  expectCandidates(found, expected);
});

test('NanoDet-Plus of 416 × 416 has the 3,598 anchors that its export has', () => {
  const output: DetectOutput = { kind: 'nanodet', tensor: 'out', strides: [8, 16, 32, 64], regMax: 7 };
  const frame = { input: { width: 416, height: 416 }, classes: 80 };
  const found = nanodet([tensor([3598, 112], new Float32Array(3598 * 112))], output, frame);
  expect(found.scores).toHaveLength(3598);
});

test('of equal scores the first class is answered', () => {
  const output: DetectOutput = { kind: 'yolov8', tensor: 'out', strides: [8] };
  const one = tensor([1, 7], [4, 4, 2, 2, 0.25, 0.5, 0.5]);
  const found = yolov8([one], output, { input: { width: 8, height: 8 }, classes: 3 });
  expect([...found.classes]).toEqual([1]);
});

describe('a tensor of another shape', () => {
  const frame = { input: { width: 64, height: 64 }, classes: 2 };
  const zeros = (...shape: number[]) => tensor(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));

  test.each([
    ['yolox, an anchor short', () => yolox([zeros(83, 7)], { kind: 'yolox', tensor: 'out', strides }, frame)],
    ['yolox, a column more', () => yolox([zeros(84, 8)], { kind: 'yolox', tensor: 'out', strides }, frame)],
    [
      'yolov5, a column short',
      () => yolov5([zeros(84, 6)], { kind: 'yolov5', tensor: 'out', strides, anchors: null }, frame),
    ],
    [
      'yolov5, raw, anchors missing',
      () =>
        yolov5(
          [zeros(84, 7)],
          { kind: 'yolov5', tensor: 'out', strides, anchors: Array(3).fill([1, 2, 3, 4]) },
          frame,
        ),
    ],
    [
      'yolov8, neither way round',
      () => yolov8([zeros(6, 83)], { kind: 'yolov8', tensor: 'out', strides }, frame),
    ],
    [
      'yolov8, of an axis more',
      () => yolov8([zeros(6, 84, 1)], { kind: 'yolov8', tensor: 'out', strides }, frame),
    ],
    [
      'nanodet, other bins',
      () => nanodet([zeros(84, 34)], { kind: 'nanodet', tensor: 'out', strides, regMax: 9 }, frame),
    ],
    [
      'boxes and scores of different lengths',
      () =>
        boxesScores(
          [zeros(5, 4), zeros(6, 2)],
          { kind: 'boxes-scores', boxes: 'b', scores: 's', format: 'xyxy', normalized: true, background: 0 },
          frame,
        ),
    ],
  ])('is refused: %s', (_case, decode) => {
    expect(decode).toThrow(expect.objectContaining({ code: 'INFERENCE_FAILED' }));
    expect(decode).toThrow(/of shape \[.*\] for this image where \[.*\] was expected/);
  });
});

test('a tensor of another type is refused', () => {
  const frame = { input: { width: 64, height: 64 }, classes: 2 };
  const failed = expect.objectContaining({ code: 'INFERENCE_FAILED' });
  const numbers = (columns: number) => tensor([84, columns], new Int32Array(84 * columns));
  const yolov8Output = { kind: 'yolov8', tensor: 'out', strides } as const;
  expect(() => yolox([numbers(7)], { kind: 'yolox', tensor: 'out', strides }, frame)).toThrow(failed);
  expect(() => yolov8([numbers(6)], yolov8Output, frame)).toThrow(failed);
});
