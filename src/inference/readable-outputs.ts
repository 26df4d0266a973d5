import type { DataType } from './tensor.ts';
import type { VariantOutput } from './variant.ts';

/** What can be read of one tensor; -1 stands for any length. */
export interface ReadableOutput {
  readonly types: readonly DataType[];
  readonly shapes: readonly (readonly number[])[];
}

/** What the head can read of each of `outputTensors`, in their order. */
export function readableOutputs(output: VariantOutput, classes: number): ReadableOutput[] {
  const floats = (...shapes: number[][]): ReadableOutput => ({ types: ['FP32'], shapes });
  const numbers = (...shapes: number[][]): ReadableOutput => ({ types: ['FP32', 'INT32', 'INT64'], shapes });
  switch (output.kind) {
    case 'logits':
    case 'probabilities':
      return [floats([-1, classes], [-1, classes, 1, 1])];
    case 'boxes-scores':
      return [floats([-1, -1, 4]), floats([-1, -1, classes])];
    case 'ssd':
      return [floats([-1, -1, 4]), floats([-1, -1]), numbers([-1, -1]), numbers([-1], [-1, 1])];
    case 'detections':
      return [floats([-1, -1, output.columns.length])];
    case 'mask-logits':
    case 'mask-probabilities':
      return [floats(output.layout === 'NCHW' ? [-1, classes, -1, -1] : [-1, -1, -1, classes])];
    case 'labels':
      return [
        {
          types: ['INT64', 'INT32', 'UINT8', 'FP32'],
          shapes: [
            [-1, -1, -1],
            [-1, 1, -1, -1],
          ],
        },
      ];
    default:
      return [floats([-1, -1, -1])];
  }
}
