import { elementsOf } from '../oip/elements.ts';
import type { Classification, Detection, Segmentation } from '../request.ts';
import type { Tensor } from '../tensor.ts';
import type { ClassifyOutput } from '../variant.ts';
import { classify } from './classify.ts';
import { type DetectReading, detect } from './detect/detect.ts';
import type { CommonReading } from './reading.ts';
import { type SegmentReading, segment } from './segment/segment.ts';

export interface ClassifyReading extends CommonReading {
  readonly output: ClassifyOutput;
  readonly topK: number;
  readonly minScore: number;
}

/** By task. */
export interface Readings {
  CLASSIFY: ClassifyReading;
  DETECT: DetectReading;
  SEGMENT: SegmentReading;
}
export interface Results {
  CLASSIFY: Classification;
  DETECT: Detection;
  SEGMENT: Segmentation;
}
export type ServedTask = keyof Readings;

/**
 * Reads what the model said about one image.
 * @param tensors the image's slice of each of `outputTensors(reading.output)`, in that order, without the batch axis
 * @throws ImageError INFERENCE_FAILED where the model answered what cannot be read
 */
export function readOutput<T extends ServedTask>(
  task: T,
  tensors: readonly Tensor[],
  reading: Readings[T],
): Results[T] {
  return readers[task](tensors, reading);
}

const readers: { [T in ServedTask]: (tensors: readonly Tensor[], reading: Readings[T]) => Results[T] } = {
  CLASSIFY: ([scores], reading) => ({
    kind: 'classification',
    ...reading.original,
    labels: classify(elementsOf('FP32', scores!.data), reading.output, reading.labels, reading),
  }),
  DETECT: (tensors, reading) => ({
    kind: 'detection',
    ...reading.original,
    objects: detect(tensors, reading),
  }),
  SEGMENT: (tensors, reading) => ({
    kind: 'segmentation',
    ...reading.original,
    segments: segment(tensors, reading),
  }),
};
