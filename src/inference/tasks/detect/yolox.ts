import type { Tensor } from '../../tensor.ts';
import type { DetectOutput } from '../../variant.ts';
import {
  aroundCentre,
  bestClasses,
  type Candidates,
  type Frame,
  matrixOf,
  unexpectedShape,
} from './candidates.ts';
import { Grid } from './grid.ts';
import { scaleByObjectness } from './objectness.ts';

/**
 * YOLOX (Ge et al. 2021, arXiv:2107.08430; Megvii-BaseDetection/YOLOX `yolox/utils/demo_utils.py`, `demo_postprocess`).
 * @param tensors `[A, 5 + C]`: centre and size as (t + cell) · stride and exp(t) · stride, objectness, classes; the last two
 *   after their sigmoid. A: one anchor a cell.
 */
export function yolox(
  [tensor]: readonly Tensor[],
  { strides }: Extract<DetectOutput, { kind: 'yolox' }>,
  { input, classes }: Frame,
): Candidates {
  const width = 5 + classes;
  const { rows, data } = matrixOf(tensor!, width);
  const grid = new Grid(input, strides);
  if (rows !== grid.length) throw unexpectedShape(tensor!.name, tensor!.shape, `[${grid.length}, ${width}]`);
  const best = bestClasses(data, { anchors: rows, classes, first: 5, anchorStep: width, classStep: 1 });
  scaleByObjectness(best.scores, data, width);
  return {
    ...best,
    box(anchor) {
      const at = anchor * width;
      const { x, y, stride } = grid.cell(anchor);
      return aroundCentre(
        (data[at]! + x) * stride,
        (data[at + 1]! + y) * stride,
        Math.exp(data[at + 2]!) * stride,
        Math.exp(data[at + 3]!) * stride,
      );
    },
  };
}
