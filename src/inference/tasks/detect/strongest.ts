/**
 * The indices of the `most` highest scores that are at least `minScore`, highest first, equal ones in their order.
 *
 * Where there are more, the lowest score that still belongs is found by sorting plain numbers, which is several times cheaper
 * than sorting all indices by a comparison; only the indices that stay are sorted so.
 */
export function strongest(scores: Float32Array, minScore: number, most: number): Uint32Array {
  const enough = indicesOf(scores, (score) => score >= minScore);
  const chosen = enough.length > most ? highest(enough, scores, most) : enough;
  return chosen.sort((a, b) => scores[b]! - scores[a]! || a - b);
}

function indicesOf(scores: Float32Array, belongs: (score: number) => boolean): Uint32Array {
  const indices = new Uint32Array(scores.length);
  let length = 0;
  for (let index = 0; index < scores.length; index++) {
    if (belongs(scores[index]!)) indices[length++] = index;
  }
  return indices.subarray(0, length);
}

/** @param indices more than `most` */
function highest(indices: Uint32Array, scores: Float32Array, most: number): Uint32Array {
  const lowest = Float32Array.from(indices, (index) => scores[index]!).sort()[indices.length - most]!;
  let ties = most;
  for (const index of indices) if (scores[index]! > lowest) ties--;
  return indices.filter((index) => scores[index]! > lowest || (scores[index]! === lowest && ties-- > 0));
}
