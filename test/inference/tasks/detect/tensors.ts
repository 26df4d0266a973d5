import type { DetectReading } from '../../../../src/inference/tasks/detect/detect.ts';
import type { DataType, Tensor } from '../../../../src/inference/tensor.ts';
import type { DetectOutput } from '../../../../src/inference/variant.ts';
import { geometry } from '../../images/pictures.ts';

type Numbers = Float32Array | Int32Array | BigInt64Array;

export function tensor(
  shape: readonly number[],
  elements: readonly number[] | Numbers,
  name = 'out',
): Tensor {
  const data = Array.isArray(elements) ? Float32Array.from(elements) : (elements as Numbers);
  const datatype: DataType =
    data instanceof Float32Array ? 'FP32' : data instanceof Int32Array ? 'INT32' : 'INT64';
  return { name, datatype, shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** A head whose boxes are in pixels of its input, which in `reading` is the picture itself. */
export const plainBoxes: Extract<DetectOutput, { kind: 'boxes-scores' }> = {
  kind: 'boxes-scores',
  boxes: 'boxes',
  scores: 'scores',
  format: 'xyxy',
  normalized: false,
  background: null,
};

export function reading(overrides: Partial<DetectReading> = {}): DetectReading {
  return {
    output: plainBoxes,
    labels: ['cat', 'dog'],
    original: { width: 100, height: 100 },
    input: geometry({ width: 100, height: 100 }),
    minScore: 0.25,
    iouThreshold: 0.45,
    maxDetections: 100,
    ...overrides,
  };
}

/** Tensors of a boxes-scores head: each object its edges, then a score a label. */
export function proposals(...objects: (readonly number[])[]): Tensor[] {
  const classes = (objects[0]?.length ?? 6) - 4;
  return [
    tensor(
      [objects.length, 4],
      objects.flatMap((object) => object.slice(0, 4)),
      'boxes',
    ),
    tensor(
      [objects.length, classes],
      objects.flatMap((object) => object.slice(4)),
      'scores',
    ),
  ];
}
