import type { DataType, Tensor } from '../../src/inference/tensor.ts';
import { fitOutput } from '../../src/models/fit-output.ts';
import type { Head } from '../../src/models/heads/head.ts';
import { manifestSchema } from '../../src/models/manifest.ts';
import type { Fault } from '../../src/models/manifest-error.ts';

const arrays = { FP32: Float32Array, INT32: Int32Array, UINT8: Uint8Array, INT64: BigInt64Array };

/** An output, `valueAt` its place in the tensor. */
export function tensor(
  name: string,
  shape: readonly number[],
  valueAt: (index: number) => number = () => 0.5,
  datatype: keyof typeof arrays & DataType = 'FP32',
): Tensor {
  const numbers = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => valueAt(index));
  const values =
    datatype === 'INT64' ? BigInt64Array.from(numbers.map(BigInt)) : arrays[datatype].from(numbers as never);
  return { name, datatype, shape, data: new Uint8Array(values.buffer) };
}

/** What a graph answered to one picture of 64×32 pixels, beside a manifest with so many labels. */
export function fitted(
  output: unknown,
  outputs: readonly Tensor[],
  labelCount = 2,
): { head: Head | null; faults: Fault[] } {
  const faults: Fault[] = [];
  const labels = Array.from({ length: labelCount }, (_, index) => `class ${index}`);
  const shown = { answers: [outputs], width: 64, height: 32, labels };
  const head = fitOutput(manifestSchema.shape.output.parse(output), shown, faults);
  return { head, faults };
}

export const strides = [8, 16]; // 8×4 and 4×2 cells: 40
export const anchors = [
  [8, 8, 16, 16],
  [32, 32],
]; // 72
/** Rows of `columns`: four of a box, then scores. */
export const rows = (columns: number, box: number, score: number) => (index: number) =>
  index % columns < 4 ? box : score;
export const boxesScores = {
  kind: 'boxes-scores',
  boxes: 'b',
  scores: 's',
  format: 'xyxy',
  normalized: true,
};
export const ssd = { ...boxesScores, kind: 'ssd', classes: 'c', count: 'n' };
export const ssdOutputs = (count: number, scored = 0.5, classed = 1) => [
  tensor('b', [1, 3, 4]),
  tensor('s', [1, 3], () => scored),
  tensor('c', [1, 3], () => classed),
  tensor('n', [1], () => count),
];
export const detections = {
  kind: 'detections',
  columns: ['x', 'y', 'w', 'h', 'score', 'class'],
  normalized: false,
};
export const row = (score: number, ofClass: number) => (index: number) =>
  index % 6 === 4 ? score : index % 6 === 5 ? ofClass : 9;
