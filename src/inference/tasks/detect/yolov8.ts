import type { Tensor } from '../../tensor.ts';
import type { DetectOutput } from '../../variant.ts';
import {
  aroundCentre,
  bestClasses,
  type Candidates,
  type Frame,
  floatsOf,
  unexpectedShape,
} from './candidates.ts';
import { Grid } from './grid.ts';

/**
 * YOLOv8, 9 and 11 (ultralytics/ultralytics `nn/modules/head.py`, `Detect._inference`, as its ONNX export leaves it).
 * @param tensors `[4 + C, A]`, or `[A, 4 + C]`: centre x, y, width, height in pixels, then class probabilities. A: one anchor
 *   a cell, by which the two are told apart
 */
export function yolov8(
  [tensor]: readonly Tensor[],
  { strides }: Extract<DetectOutput, { kind: 'yolov8' }>,
  { input, classes }: Frame,
): Candidates {
  const { name, shape } = tensor!;
  const { length } = new Grid(input, strides);
  const [rows, columns] = shape;
  const columnsFirst = rows === 4 + classes && columns === length;
  const rowsFirst = rows === length && columns === 4 + classes;
  if (shape.length !== 2 || !(columnsFirst || rowsFirst)) {
    throw unexpectedShape(name, shape, `[${4 + classes}, ${length}] or [${length}, ${4 + classes}]`);
  }
  const data = floatsOf(tensor!);
  const anchorStep = columnsFirst ? 1 : 4 + classes;
  const columnStep = columnsFirst ? length : 1;
  return {
    ...bestClasses(data, {
      anchors: length,
      classes,
      first: 4 * columnStep,
      anchorStep,
      classStep: columnStep,
    }),
    box(anchor) {
      const column = (index: number) => data[anchor * anchorStep + index * columnStep]!;
      return aroundCentre(column(0), column(1), column(2), column(3));
    },
  };
}
