import { probability } from '../probability.ts';

/** Score = objectness · best class, in place. The objectness is the fifth of each row of `width`. */
export function scaleByObjectness(scores: Float32Array, data: Float32Array, width: number): void {
  for (let anchor = 0; anchor < scores.length; anchor++) {
    scores[anchor] = scores[anchor]! * probability(data[anchor * width + 4]!);
  }
}
