import { ImageError } from '../../images/image-error.ts';
import { elementsOf } from '../../oip/elements.ts';
import type { Tensor } from '../../tensor.ts';
import type { DetectOutput } from '../../variant.ts';
import { probability } from '../probability.ts';
import { type Candidates, type Frame, floatsOf, inPixels, matrixOf, unexpectedShape } from './candidates.ts';
import { classIndex } from './class-index.ts';

/**
 * SSD with its suppression of overlaps inside (TensorFlow Lite `lite/kernels/detection_postprocess.cc`, outputs 0..3; the
 * TensorFlow Object Detection API names them detection_boxes, _scores, _classes and num_detections).
 * @param tensors boxes `[M, 4]` as `format` says; scores and classes `[M]`, a class a label's index; count `[]` or `[1]`: how
 *   many of the rows are objects, from the first on; the others are filling and not looked at
 * @throws ImageError INFERENCE_FAILED too where the count is no whole number 0..M, or a counted class no label
 */
export function ssd(
  [boxes, scores, classes, count]: readonly Tensor[],
  { format, normalized }: Extract<DetectOutput, { kind: 'ssd' }>,
  { input, classes: labels }: Frame,
): Candidates {
  const { rows, data } = matrixOf(boxes!, 4);
  const scoreOf = floatsOf(scores!);
  if (scoreOf.length !== rows) throw unexpectedShape(scores!.name, scores!.shape, `[${rows}]`);
  const classOf = numbersOf(classes!, rows);
  const counted = countOf(numbersOf(count!, 1)[0]!, rows);
  return {
    scores: Float32Array.from({ length: counted }, (_, row) => probability(scoreOf[row]!)),
    classes: Int32Array.from({ length: counted }, (_, row) => classIndex(classOf[row]!, labels)),
    box(row) {
      const at = 4 * row;
      const [a, b, c, d] = [data[at]!, data[at + 1]!, data[at + 2]!, data[at + 3]!];
      const box = format === 'xyxy' ? { x1: a, y1: b, x2: c, y2: d } : { x1: b, y1: a, x2: d, y2: c };
      return normalized ? inPixels(box, input) : box;
    },
  };
}

/** Whole numbers, of the types that exports give them. */
function numbersOf(tensor: Tensor, length: number): ArrayLike<number> {
  const { name, datatype, shape, data } = tensor;
  const numbers =
    datatype === 'INT64'
      ? Array.from(elementsOf('INT64', data), Number)
      : datatype === 'INT32'
        ? elementsOf('INT32', data)
        : floatsOf(tensor);
  if (numbers.length !== length) throw unexpectedShape(name, shape, `[${length}]`);
  return numbers;
}

function countOf(count: number, rows: number): number {
  if (Number.isInteger(count) && count >= 0 && count <= rows) return count;
  throw new ImageError(
    'INFERENCE_FAILED',
    `the model counted ${count} objects in this image, which is no whole number from 0 to its ${rows} rows`,
  );
}
