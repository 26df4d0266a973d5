import type { Tensor } from '../../tensor.ts';
import type { DetectOutput } from '../../variant.ts';
import {
  aroundCentre,
  bestClasses,
  type Candidates,
  type Frame,
  inPixels,
  matrixOf,
  unexpectedShape,
} from './candidates.ts';

/**
 * Decoded boxes beside class probabilities, overlaps not yet suppressed: UltraFace (Linzaer/Ultra-Light-Fast-Generic-Face-
 * Detector-1MB `vision/ssd/predictor.py`, `predict`) and SSDs exported the same way (Liu et al. 2016, arXiv:1512.02325).
 * @param tensors boxes `[A, 4]` as `format` says, scores `[A, C]`
 */
export function boxesScores(
  [boxes, scores]: readonly Tensor[],
  { format, normalized, background }: Extract<DetectOutput, { kind: 'boxes-scores' }>,
  { input, classes }: Frame,
): Candidates {
  const { rows, data } = matrixOf(scores!, classes);
  const { rows: boxRows, data: edges } = matrixOf(boxes!, 4);
  if (boxRows !== rows) throw unexpectedShape(boxes!.name, boxes!.shape, `[${rows}, 4]`);
  return {
    ...bestClasses(data, { anchors: rows, classes, first: 0, anchorStep: classes, classStep: 1, background }),
    box(anchor) {
      const at = 4 * anchor;
      const [a, b, c, d] = [edges[at]!, edges[at + 1]!, edges[at + 2]!, edges[at + 3]!];
      const box = format === 'xyxy' ? { x1: a, y1: b, x2: c, y2: d } : aroundCentre(a, b, c, d);
      return normalized ? inPixels(box, input) : box;
    },
  };
}
