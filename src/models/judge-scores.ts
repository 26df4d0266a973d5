import { type Fault, show } from './manifest-error.ts';

/** Two answers are equal within this much, of the largest score where that is above 1. */
const TOLERANCE = 1e-4;

/** Whether a classifier's rows of scores for pictures that differ can be what the manifest says they are. */
export function judgeScores(
  rows: readonly Float32Array[],
  { kind, tensor }: { kind: 'logits' | 'probabilities'; tensor: string },
  faults: Fault[],
): void {
  const all = rows.flatMap((row) => [...row]);
  const unreadable = all.find((score) => !Number.isFinite(score));
  if (unreadable !== undefined) {
    const found = `${unreadable} in tensor '${tensor}' for random pixels`;
    faults.push({ path: 'output', found, wanted: 'finite scores: check input.scale, mean and std' });
    return;
  }
  if (rows.slice(1).every((row) => largestDifference(rows[0]!, row) === 0)) {
    const found = `the same scores in tensor '${tensor}' for ${rows.length} pictures that differ`;
    const wanted = 'scores that depend on the picture: check the graph, input.scale, mean and std';
    faults.push({ path: 'output', found, wanted });
  }
  const [least, most] = all.reduce(
    ([low, high], score) => [Math.min(low, score), Math.max(high, score)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
  const areShares = least >= -TOLERANCE && most <= 1 + TOLERANCE;
  const range = `${show(kind)} with scores from ${least} to ${most} in tensor '${tensor}'`;
  if (kind === 'probabilities' && !areShares) {
    faults.push({ path: 'output.kind', found: range, wanted: 'scores from 0 to 1, or "logits"' });
  }
  // A softmax on top of the graph's own would leave the order as it is and make every probability wrong.
  const sumToOne = rows.every((row) => Math.abs(row.reduce((sum, score) => sum + score, 0) - 1) < 1e-3);
  if (kind === 'logits' && areShares && sumToOne) {
    faults.push({ path: 'output.kind', found: `${range} that sum to 1`, wanted: '"probabilities"' });
  }
}

/** `standard` says what the rows were to be equal to. */
export function judgeEqual(
  wanted: readonly Float32Array[],
  found: readonly Float32Array[],
  standard: string,
  faults: Fault[],
): void {
  const worst = Math.max(...wanted.map((row, index) => largestDifference(row, found[index]!) / scaleOf(row)));
  if (worst <= TOLERANCE) return; // what is not a number is not
  faults.push({
    path: 'file',
    found: `a graph whose answers, once it takes pixels, are off by ${worst.toPrecision(2)}`,
    wanted: `at most ${TOLERANCE} beside ${standard}`,
  });
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - b[index]!)), 0);
}

function scaleOf(row: Float32Array): number {
  return row.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
}
