/** Ranges of seeds that never meet: what a model is judged by, it has not been trained on. */
export const seeds = {
  examples: { from: 0, count: 1_000_000 },
  training: { from: 1_000_000, count: 40_000 },
  validation: { from: 2_000_000, count: 2_000 },
  evaluation: { from: 3_000_000, count: 40_000 },
  test: { from: 4_000_000, count: 1_000 },
  crowdedTraining: { from: 5_000_000, count: 24_000 },
  crowdedValidation: { from: 6_000_000, count: 1_000 },
} as const;

export interface SeedRange {
  readonly from: number;
  readonly count: number;
}

/** The range that the models were made with and that `range` meets, if it meets one. */
export function knownSeeds({ from, count }: SeedRange): SeedRange | undefined {
  const known = [seeds.training, seeds.validation, seeds.crowdedTraining, seeds.crowdedValidation];
  return known.find((each) => from < each.from + each.count && each.from < from + count);
}
