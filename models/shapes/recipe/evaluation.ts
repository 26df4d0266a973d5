import type { Classify } from './classifier.ts';
import { picture } from './picture.ts';

/** How often a picture of the class `truth` was answered as the class `answer`: `counts[truth · classes + answer]`. */
export interface Confusion {
  readonly classes: number;
  readonly counts: Uint32Array;
}

const atOnce = 64;

/** Has every picture of a range of seeds classified, and counts the answers. */
export async function evaluate(
  classify: Classify,
  classes: number,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<Confusion> {
  const counts = new Uint32Array(classes * classes);
  for (let first = from; first < from + count; first += atOnce) {
    const length = Math.min(atOnce, from + count - first);
    const pictures = await Promise.all(Array.from({ length }, (_, index) => picture(first + index)));
    const answers = await classify(pictures);
    for (const [index, answer] of answers.entries()) counts[pictures[index]!.column * classes + answer]!++;
  }
  return { classes, counts };
}

/** The share of all pictures that were answered rightly. */
export function accuracy({ classes, counts }: Confusion): number {
  let right = 0;
  let all = 0;
  for (const [at, count] of counts.entries()) {
    all += count;
    if (at % (classes + 1) === 0) right += count;
  }
  return right / all;
}

/** The share of a class's pictures that were answered as that class. */
export function recall({ classes, counts }: Confusion, truth: number): number {
  const row = counts.subarray(truth * classes, (truth + 1) * classes);
  return row[truth]! / row.reduce((sum, count) => sum + count, 0);
}

/** The mistakes, most frequent first. */
export function mistakes({ classes, counts }: Confusion): { truth: number; answer: number; count: number }[] {
  return Array.from(counts, (count, at) => ({ truth: Math.floor(at / classes), answer: at % classes, count }))
    .filter(({ truth, answer, count }) => truth !== answer && count > 0)
    .sort((one, other) => other.count - one.count);
}
