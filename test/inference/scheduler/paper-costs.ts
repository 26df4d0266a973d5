import { sizeThatPays } from '../../../src/inference/scheduler/batch-size.ts';
import type { BatchCosts } from '../../../src/inference/scheduler/work.ts';

/** A batch of n images takes `perImageMs`·n + `perBatchMs`; known from the start, and always true. */
export interface PaperModel {
  readonly perImageMs: number;
  readonly perBatchMs: number;
}

/** `modelOf`: by the key of the variant. */
export function paperCosts(
  modelOf: (variantKey: string) => PaperModel,
  overrides: Partial<BatchCosts> = {},
): BatchCosts {
  const batchMs = (variantKey: string, images: number) => {
    const { perImageMs, perBatchMs } = modelOf(variantKey);
    return perImageMs * images + perBatchMs;
  };
  return {
    batchMs,
    soonestMs: () => 0,
    batchSize: (variantKey, maxBatch) => sizeThatPays((images) => batchMs(variantKey, images), maxBatch),
    ...overrides,
  };
}
