import type { LabelScore } from '../request.ts';
import type { ClassifyOutput } from '../variant.ts';
import { probability } from './probability.ts';

/**
 * Reads one image's row of a classifier's output.
 *
 * @param row one value per class, logits or probabilities as `output.kind` says
 * @returns the `topK` labels of the highest probability that is at least `minScore`, highest first; equal ones in the
 *   order of their index
 * @throws ImageError INFERENCE_FAILED where the model answered something that is no probability
 */
export function classify(
  row: Float32Array,
  output: ClassifyOutput,
  labels: readonly string[],
  { topK, minScore }: { topK: number; minScore: number },
): LabelScore[] {
  const scores = output.kind === 'logits' ? softmax(row) : row;
  const best: LabelScore[] = [];
  for (let index = 0; index < scores.length; index++) {
    const score = probability(scores[index]!);
    if (index === output.background || score < minScore) continue;
    if (best.length === topK) {
      if (score <= best[topK - 1]!.score) continue;
      best.pop();
    }
    best.splice(insertionPoint(best, score), 0, { label: labels[index]!, index, score });
  }
  return best;
}

/** Shifted by the maximum, so that no exponential overflows. */
export function softmax(logits: Float32Array): Float32Array {
  let maximum = Number.NEGATIVE_INFINITY;
  for (const logit of logits) maximum = Math.max(maximum, logit);
  const exponentials = new Float32Array(logits.length);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const exponential = Math.exp(logits[i]! - maximum);
    exponentials[i] = exponential;
    sum += exponential;
  }
  for (let i = 0; i < exponentials.length; i++) exponentials[i] = exponentials[i]! / sum;
  return exponentials;
}

/** Behind every entry that scores at least as high. */
function insertionPoint(descending: readonly LabelScore[], score: number): number {
  let low = 0;
  let high = descending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (descending[middle]!.score >= score) low = middle + 1;
    else high = middle;
  }
  return low;
}
