import { labelColumns } from '../labels.ts';
import type { OutputOf } from '../manifest.ts';
import type { Fault } from '../manifest-error.ts';
import { type Head, numbersOf, type Shown, takeOutput, unbatchedOf } from './head.ts';
import { areShares, checkProbabilities, rangeOf, scoresFound } from './ranges.ts';

/** [N,C], or [N,C,1,1]: one score a class. */
export function fitClassifier(
  { kind, scores, background }: OutputOf<'logits' | 'probabilities'>,
  shown: Shown,
  faults: Fault[],
): Head | null {
  const wish = {
    field: 'scores',
    name: scores,
    wanted: '[N,C], one score a class',
    fits: ([columns = 0, ...rest]: readonly number[]) =>
      columns > 0 && (rest.length === 0 || (rest.length === 2 && rest.every((length) => length === 1))),
  };
  const taken = takeOutput(wish, shown, faults);
  if (taken === null) return null;
  const { name: tensor, shape } = taken;
  const labels = labelColumns(shown.labels, { columns: shape[0]!, background }, faults);
  const rows = shown.answers.map((tensors) => numbersOf(tensors, tensor));
  if (kind === 'probabilities')
    checkProbabilities(rows, { kind, tensor, wanted: 'scores from 0 to 1, or "logits"' }, faults);
  // A softmax on top of the graph's own would leave the order as it is and make every probability wrong.
  const range = rangeOf(rows);
  const sumToOne = rows.every((row) => Math.abs(sumOf(row) - 1) < 1e-3);
  if (kind === 'logits' && areShares(range) && sumToOne) {
    const found = `${scoresFound(kind, tensor, range)} that sum to 1`;
    faults.push({ path: 'output.kind', found, wanted: '"probabilities"' });
  }
  return {
    output: { kind, tensor, background },
    labels,
    unbatched: unbatchedOf(taken),
    parts: (tensors) => [{ tensor, values: numbersOf(tensors, tensor), compare: 'values' }],
  };
}

function sumOf(row: Float32Array | Float64Array): number {
  let sum = 0;
  for (const value of row) sum += value;
  return sum;
}
