import type { Tensor } from '../inference/tensor.ts';
import { outputTensors } from '../inference/variant.ts';
import type { Head, Part } from './heads/head.ts';
import type { Fault } from './manifest-error.ts';
import type { SourceModel } from './source-model.ts';

/** A file's graph, run on the proof pictures one at a time: all its outputs each time. */
export interface OriginalAnswers {
  /** A list a picture. */
  readonly pictures: readonly (readonly Tensor[])[];
  /** To the first picture once more. */
  readonly again: readonly Tensor[];
}

/**
 * Two numbers are equal within this much, of the wanted one or of the median of its kind where either is above 1. Not of the
 * largest: one masked class at −1e9 would excuse any other.
 */
const TOLERANCE = 1e-4;

/**
 * A class index, or a row of a list, hangs on which of two scores is the larger. Where they are nearly equal, as many are
 * in a picture of noise, the rounding of the input decides: so few of a hundred may come out otherwise.
 */
const TURNED_INDICES = 0.001;
const SWAPPED_ROWS = 0.02;

/**
 * Whether a graph's answers to pictures that differ can be a model's at all.
 *
 * Noise shows no object and may be one class all over: a list of objects, or a map of classes, that is the same for every
 * picture is a good model's too. Of such a graph the nodes must say that it looks at its input, where they can be read.
 */
export function judgeAnswers(
  source: Pick<SourceModel, 'dependsOn'>,
  input: string,
  head: Head,
  { pictures, again }: OriginalAnswers,
  faults: Fault[],
): void {
  const answers = pictures.map((tensors) => head.parts(tensors));
  const [first = [], ...others] = answers;
  const unreadable = answers.flat().find(({ values }) => firstUnreadable(values) !== undefined);
  if (unreadable !== undefined) {
    const found = `${firstUnreadable(unreadable.values)} in tensor '${unreadable.tensor}' for random pixels`;
    faults.push({ path: 'output', found, wanted: 'finite numbers: check input.scale, mean and std' });
    return;
  }
  const change = differenceOf(first, head.parts(again));
  if (change !== null) {
    const found = `two answers to one picture, the second ${change}`;
    faults.push({ path: 'file', found, wanted: 'a graph without random numbers, exported for inference' });
  }
  const constant = first.some(({ compare }) => compare !== 'values')
    ? source.dependsOn(input, outputTensors(head.output)) === false
    : others.every((parts) => parts.every(({ values }, index) => areSame(first[index]!.values, values)));
  if (!constant) return;
  const found = `the same numbers in ${tensorsOf(first)} for ${answers.length} pictures that differ`;
  const wanted = 'an answer that depends on the picture: check the graph, input.scale, mean and std';
  faults.push({ path: 'output', found, wanted });
}

/** What two answers to the same picture differ in, in words; null: they are equal. */
export function differenceOf(wanted: readonly Part[], found: readonly Part[]): string | null {
  for (const [index, part] of wanted.entries()) {
    const difference = partDifference(part, found[index]!.values);
    if (difference !== null) return `${difference} in tensor '${part.tensor}'`;
  }
  return null;
}

function partDifference({ values: wanted, compare }: Part, found: ArrayLike<number>): string | null {
  if (compare === 'values') {
    // The median takes its time over millions of numbers, and most never need it.
    if (worstDifference(wanted, found, 1) <= TOLERANCE) return null;
    const worst = worstDifference(wanted, found, scaleOf(wanted));
    return worst <= TOLERANCE ? null : `off by ${worst.toPrecision(2)}`; // what is no number is not
  }
  if (compare === 'indices') {
    const turned = shareOf(wanted, (value, index) => value !== found[index]);
    return wanted.length === found.length && turned <= TURNED_INDICES
      ? null
      : `another class at ${(100 * turned).toPrecision(2)} % of the places`;
  }
  const most = Math.floor((SWAPPED_ROWS * Math.max(wanted.length, found.length)) / compare.columns);
  return haveSameRows(wanted, found, compare.columns, most) ? null : `more than ${most} rows that are others`;
}

/** Whether at most `most` rows of either list have no equal left in the other. */
function haveSameRows(
  wanted: ArrayLike<number>,
  found: ArrayLike<number>,
  columns: number,
  most: number,
): boolean {
  if (Math.abs(wanted.length - found.length) > most * columns) return false;
  const scales = Array.from({ length: columns }, (_, column) => scaleOf(wanted, columns, column));
  const equal = (a: number, b: number) =>
    scales.every(
      (scale, column) => relativeDifference(wanted[a + column]!, found[b + column]!, scale) <= TOLERANCE,
    );
  const left = new Set(Array.from({ length: found.length / columns }, (_, row) => row * columns));
  let unmatched = 0;
  for (let row = 0; row < wanted.length; row += columns) {
    const match = firstOf(left, (other) => equal(row, other));
    if (match !== undefined) left.delete(match);
    else unmatched += 1;
    if (unmatched > most) return false; // each row without an equal was held against all of the others
  }
  return left.size <= most;
}

function firstOf(rows: Iterable<number>, isMatch: (row: number) => boolean): number | undefined {
  for (const row of rows) if (isMatch(row)) return row;
  return undefined;
}

/** The median of a column's magnitudes, at least 1. */
function scaleOf(values: ArrayLike<number>, columns = 1, column = 0): number {
  const magnitudes = new Float64Array(Math.floor(values.length / columns));
  for (let row = 0; row < magnitudes.length; row += 1)
    magnitudes[row] = Math.abs(values[row * columns + column]!);
  return Math.max(1, magnitudes.sort()[magnitudes.length >> 1] ?? 1);
}

/** NaN where the lists differ in length, or hold one. */
function worstDifference(wanted: ArrayLike<number>, found: ArrayLike<number>, scale: number): number {
  if (wanted.length !== found.length) return Number.NaN;
  let worst = 0;
  for (let index = 0; index < wanted.length; index += 1)
    worst = Math.max(worst, relativeDifference(wanted[index]!, found[index]!, scale));
  return worst;
}

function relativeDifference(wanted: number, found: number, scale: number): number {
  return Math.abs(wanted - found) / Math.max(scale, Math.abs(wanted));
}

function areSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && shareOf(a, (value, index) => value !== b[index]) === 0;
}

function shareOf(values: ArrayLike<number>, matches: (value: number, index: number) => boolean): number {
  let count = 0;
  for (let index = 0; index < values.length; index += 1) if (matches(values[index]!, index)) count += 1;
  return count / Math.max(1, values.length);
}

function firstUnreadable(values: ArrayLike<number>): number | undefined {
  for (let index = 0; index < values.length; index += 1)
    if (!Number.isFinite(values[index])) return values[index];
  return undefined;
}

function tensorsOf(parts: readonly Part[]): string {
  const names = [...new Set(parts.map(({ tensor }) => `'${tensor}'`))];
  return `tensor${names.length > 1 ? 's' : ''} ${names.join(' and ')}`;
}
