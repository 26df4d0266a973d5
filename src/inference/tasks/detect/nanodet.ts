import type { Tensor } from '../../tensor.ts';
import type { DetectOutput } from '../../variant.ts';
import { softmax } from '../probability.ts';
import { bestClasses, type Candidates, type Frame, matrixOf, unexpectedShape } from './candidates.ts';
import { Grid } from './grid.ts';

/**
 * NanoDet-Plus (RangiLyu/nanodet `nanodet/model/head/nanodet_plus_head.py`, `get_bboxes`). The distances of a box's edges from
 * the cell's corner are expectations over bins (Li et al. 2020, Generalized Focal Loss, arXiv:2006.04388).
 * @param tensors `[A, C + 4 · (regMax + 1)]`: class probabilities, then the bins' logits of left, top, right, bottom. A: one
 *   anchor a cell
 */
export function nanodet(
  [tensor]: readonly Tensor[],
  { strides, regMax }: Extract<DetectOutput, { kind: 'nanodet' }>,
  { input, classes }: Frame,
): Candidates {
  const bins = regMax + 1;
  const width = classes + 4 * bins;
  const { rows, data } = matrixOf(tensor!, width);
  const grid = new Grid(input, strides);
  if (rows !== grid.length) throw unexpectedShape(tensor!.name, tensor!.shape, `[${grid.length}, ${width}]`);
  return {
    ...bestClasses(data, { anchors: rows, classes, first: 0, anchorStep: width, classStep: 1 }),
    box(anchor) {
      const { x, y, stride } = grid.cell(anchor);
      const distance = (edge: number) => {
        const first = anchor * width + classes + edge * bins;
        return stride * expectation(softmax(data.subarray(first, first + bins)));
      };
      // As the original does before it suppresses overlaps, the box is kept within the input.
      return {
        x1: within(x * stride - distance(0), input.width),
        y1: within(y * stride - distance(1), input.height),
        x2: within(x * stride + distance(2), input.width),
        y2: within(y * stride + distance(3), input.height),
      };
    },
  };
}

function expectation(probabilities: Float32Array): number {
  return probabilities.reduce((sum, probability, bin) => sum + probability * bin, 0);
}

function within(value: number, side: number): number {
  return Math.min(side, Math.max(0, value));
}
