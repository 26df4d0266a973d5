/** Ranges of seeds that never meet: what a model is judged by, it has not been trained on. */
export const seeds = {
  examples: { from: 0, count: 1_000_000 },
  training: { from: 1_000_000, count: 40_000 },
  validation: { from: 2_000_000, count: 2_000 },
  evaluation: { from: 3_000_000, count: 40_000 },
  test: { from: 4_000_000, count: 1_000 },
} as const;
