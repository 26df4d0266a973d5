import type { Tensor } from '../../tensor.ts';
import type { DetectOutput } from '../../variant.ts';
import { probability } from '../probability.ts';
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

type Yolov5 = Extract<DetectOutput, { kind: 'yolov5' }>;

/**
 * YOLOv5 (ultralytics/yolov5 `models/yolo.py`, `Detect.forward`; scores as `non_max_suppression` of `utils/general.py`,
 * one class an anchor).
 * @param tensors `[A, 5 + C]`: centre x, y, width, height, objectness, classes. Without `anchors` in `output`, boxes are in
 *   pixels and scores probabilities; with them, all are logits
 */
export function yolov5([tensor]: readonly Tensor[], { strides, anchors }: Yolov5, frame: Frame): Candidates {
  return anchors === null ? decoded(tensor!, frame) : raw(tensor!, strides, anchors, frame);
}

function decoded(tensor: Tensor, { classes }: Frame): Candidates {
  const width = 5 + classes;
  const { rows, data } = matrixOf(tensor, width);
  const best = bestClasses(data, { anchors: rows, classes, first: 5, anchorStep: width, classStep: 1 });
  scaleByObjectness(best.scores, data, width);
  return {
    ...best,
    box(anchor) {
      const at = anchor * width;
      return aroundCentre(data[at]!, data[at + 1]!, data[at + 2]!, data[at + 3]!);
    },
  };
}

/** With s = σ(t): centre (2s − 0.5 + cell) · stride, size (2s)² · anchor. */
function raw(
  tensor: Tensor,
  strides: readonly number[],
  anchors: readonly (readonly number[])[],
  { input, classes }: Frame,
): Candidates {
  const width = 5 + classes;
  const { rows, data } = matrixOf(tensor, width);
  const perCell = anchors.map((sizes) => sizes.length / 2);
  const grid = new Grid(input, strides, perCell);
  if (rows !== grid.length) throw unexpectedShape(tensor.name, tensor.shape, `[${grid.length}, ${width}]`);
  const layout = { anchors: rows, classes, first: 5, anchorStep: width, classStep: 1, logits: true };
  const { scores, classes: bestOf } = bestClasses(data, layout);
  // The sigmoid rises everywhere, so the best logit is the best class: two exponentials an anchor are enough.
  for (let anchor = 0; anchor < rows; anchor++) {
    scores[anchor] = probability(sigmoid(scores[anchor]!) * sigmoid(data[anchor * width + 4]!));
  }
  return {
    scores,
    classes: bestOf,
    box(anchor) {
      const at = anchor * width;
      const cell = grid.cell(anchor);
      const sizes = anchors[cell.level]!;
      return aroundCentre(
        (2 * sigmoid(data[at]!) - 0.5 + cell.x) * cell.stride,
        (2 * sigmoid(data[at + 1]!) - 0.5 + cell.y) * cell.stride,
        (2 * sigmoid(data[at + 2]!)) ** 2 * sizes[2 * cell.anchor]!,
        (2 * sigmoid(data[at + 3]!)) ** 2 * sizes[2 * cell.anchor + 1]!,
      );
    },
  };
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
