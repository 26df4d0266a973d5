import { ImageError } from '../../images/image-error.ts';
import type { DetectedObject } from '../../request.ts';
import type { Tensor } from '../../tensor.ts';
import type { DetectOutput, InputGeometry } from '../../variant.ts';
import type { CommonReading } from '../reading.ts';

export interface DetectReading extends CommonReading {
  readonly output: DetectOutput;
  readonly input: InputGeometry;
  readonly minScore: number;
  /** Of two boxes of one class that overlap more, the one of the lower score is dropped. */
  readonly iouThreshold: number;
  readonly maxDetections: number;
}

/**
 * Reads what a detector said about one image.
 * @param tensors the image's slice of each of `outputTensors(reading.output)`, in that order, without the batch axis
 * @throws ImageError INFERENCE_FAILED where the model answered what cannot be read
 */
export function detect(_tensors: readonly Tensor[], { output }: DetectReading): DetectedObject[] {
  throw new ImageError('INFERENCE_FAILED', `this server does not read ${output.kind} outputs`);
}
