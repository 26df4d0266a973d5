/** How often what is of the class `truth` was answered as the class `answer`: `counts[truth · classes + answer]`. */
export interface Confusion {
  readonly classes: number;
  readonly counts: Float64Array;
}

export function noConfusion(classes: number): Confusion {
  return { classes, counts: new Float64Array(classes * classes) };
}

/** The share of everything that was answered rightly. */
export function accuracy({ classes, counts }: Confusion): number {
  let right = 0;
  let all = 0;
  for (const [at, count] of counts.entries()) {
    all += count;
    if (at % (classes + 1) === 0) right += count;
  }
  return right / all;
}

/** The share of a class that was answered as that class. */
export function recall({ classes, counts }: Confusion, truth: number): number {
  const row = counts.subarray(truth * classes, (truth + 1) * classes);
  return row[truth]! / row.reduce((sum, count) => sum + count, 0);
}

/** What is of a class and was answered as it, as a share of what is of it, was answered as it, or both. */
export function intersectionOverUnion({ classes, counts }: Confusion, index: number): number {
  let union = -counts[index * (classes + 1)]!;
  for (let other = 0; other < classes; other++) {
    union += counts[index * classes + other]! + counts[other * classes + index]!;
  }
  return counts[index * (classes + 1)]! / union;
}

/** The mistakes, most frequent first. */
export function mistakes({ classes, counts }: Confusion): { truth: number; answer: number; count: number }[] {
  return Array.from(counts, (count, at) => ({ truth: Math.floor(at / classes), answer: at % classes, count }))
    .filter(({ truth, answer, count }) => truth !== answer && count > 0)
    .sort((one, other) => other.count - one.count);
}
