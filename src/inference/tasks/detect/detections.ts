import type { Corners } from '../../images/geometry.ts';
import type { Tensor } from '../../tensor.ts';
import type { DetectOutput } from '../../variant.ts';
import { probability } from '../probability.ts';
import { aroundCentre, type Candidates, type Frame, inPixels, matrixOf, NONE } from './candidates.ts';
import { classIndex } from './class-index.ts';

/** The three ways in which a row may say its box: edges; centre and size; top left corner and size. */
export const boxColumns = [
  ['x1', 'y1', 'x2', 'y2'],
  ['cx', 'cy', 'w', 'h'],
  ['x', 'y', 'w', 'h'],
] as const;

/**
 * End-to-end heads, one row an object: YOLOv7's and YOLOv10's exports, RT-DETR's, CenterNet's decoded peaks.
 * @param tensors `[M, K]`, K being `columns`: a form of `boxColumns`, `score`, `class` and perhaps `batch`, which is not looked
 *   at. A row with a score of 0 or less, or a class below 0, is filling
 * @throws ImageError INFERENCE_FAILED too where the class of another row is no label
 */
export function detections(
  [tensor]: readonly Tensor[],
  { columns, normalized }: Extract<DetectOutput, { kind: 'detections' }>,
  { input, classes: labels }: Frame,
): Candidates {
  const width = columns.length;
  const { rows, data } = matrixOf(tensor!, width);
  const scores = new Float32Array(rows);
  const classes = new Int32Array(rows);
  const scoreColumn = columns.indexOf('score');
  const classColumn = columns.indexOf('class');
  for (let row = 0; row < rows; row++) {
    const score = data[row * width + scoreColumn]!;
    const index = data[row * width + classColumn]!;
    if (score <= 0 || index < 0) {
      scores[row] = NONE;
    } else {
      scores[row] = probability(score);
      classes[row] = classIndex(index, labels);
    }
  }
  const corners = cornersBy(columns);
  return {
    scores,
    classes,
    box(row) {
      const box = corners((column) => data[row * width + column]!);
      return normalized ? inPixels(box, input) : box;
    },
  };
}

function cornersBy(columns: readonly string[]): (value: (column: number) => number) => Corners {
  const names = boxColumns.find((set) => set.every((name) => columns.includes(name)))!;
  const [a, b, c, d] = names.map((name) => columns.indexOf(name)) as [number, number, number, number];
  switch (names[0]) {
    case 'x1':
      return (value) => ({ x1: value(a), y1: value(b), x2: value(c), y2: value(d) });
    case 'cx':
      return (value) => aroundCentre(value(a), value(b), value(c), value(d));
    case 'x':
      return (value) => ({
        x1: value(a),
        y1: value(b),
        x2: value(a) + value(c),
        y2: value(b) + value(d),
      });
  }
}
