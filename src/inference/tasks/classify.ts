import { ImageError } from '../images/image-error.ts';
import type { LabelScore } from '../request.ts';
import type { ClassifyOutput } from '../variant.ts';
import { probability, softmax } from './probability.ts';

/**
 * Reads one image's row of a classifier's output.
 *
 * @param row one value per class, logits or probabilities as `output.kind` says
 * @returns the `topK` labels of the highest probability that is at least `minScore`, highest first; equal ones in the
 *   order of their index
 * @throws ImageError INFERENCE_FAILED where the model answered something that is no probability, or not one value a label
 */
export function classify(
  row: Float32Array,
  output: ClassifyOutput,
  labels: readonly string[],
  { topK, minScore }: { topK: number; minScore: number },
): LabelScore[] {
  if (row.length !== labels.length) {
    const reason = `the model answered ${row.length} values for this image where its ${labels.length} labels were expected`;
    throw new ImageError('INFERENCE_FAILED', reason);
  }
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
