import type { Tensor } from '../../src/inference/tensor.ts';
import type { Variant } from '../../src/inference/variant.ts';

/** A variant of a fixture graph with 2 × 2 pixel inputs; what the pool does not look at is filled in. */
export function variantOf(key: string, artifactSha256: string): Variant {
  return {
    key,
    title: `${key}@1`,
    task: 'CLASSIFY',
    compression: 'NONE',
    artifactSha256,
    externalData: [],
    format: 'onnx',
    publicName: null,
    preprocessing: null,
    input: { tensor: 'images', width: 2, height: 2, fit: 'fill', resizeShort: null, align: 'center', pad: 0 },
    output: { kind: 'logits', tensor: 'means', background: null },
    labels: ['red', 'green', 'blue'],
    maxBatch: 4,
    maxQueueDelayMs: 0,
    unitsPerImage: 1,
  };
}

/** A picture for such a variant, each of its bytes the same. */
export function pixelsOf(grey: number): Tensor {
  return { name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3], data: new Uint8Array(12).fill(grey) };
}
