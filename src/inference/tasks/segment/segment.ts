import { ImageError } from '../../images/image-error.ts';
import type { Segment } from '../../request.ts';
import type { Tensor } from '../../tensor.ts';
import type { InputGeometry, SegmentOutput } from '../../variant.ts';
import type { CommonReading } from '../reading.ts';

export interface SegmentReading extends CommonReading {
  readonly output: SegmentOutput;
  readonly input: InputGeometry;
  readonly minScore: number;
}

export function segment(_tensors: readonly Tensor[], { output }: SegmentReading): Segment[] {
  throw new ImageError('INFERENCE_FAILED', `this server does not read ${output.kind} outputs`);
}
