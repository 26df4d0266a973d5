import { type Fault, show } from '../manifest-error.ts';

/** How far rounding may take a probability out of 0..1. */
const ROUNDING = 1e-4;

export interface Range {
  readonly least: number;
  readonly most: number;
}

export function rangeOf(lists: readonly ArrayLike<number>[]): Range {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const list of lists) {
    for (let index = 0; index < list.length; index += 1) {
      least = Math.min(least, list[index]!);
      most = Math.max(most, list[index]!);
    }
  }
  return { least, most };
}

export function areShares({ least, most }: Range): boolean {
  return least >= -ROUNDING && most <= 1 + ROUNDING;
}

/** Pushes a fault unless all are probabilities. Of NaN nothing is said: what is not finite is refused by itself. */
export function checkProbabilities(
  lists: readonly ArrayLike<number>[],
  { kind, tensor, wanted }: { kind: string; tensor: string; wanted: string },
  faults: Fault[],
): void {
  const range = rangeOf(lists);
  if (range.least > range.most || areShares(range) || Number.isNaN(range.least)) return;
  faults.push({ path: 'output.kind', found: scoresFound(kind, tensor, range), wanted });
}

export function scoresFound(kind: string, tensor: string, { least, most }: Range): string {
  return `${show(kind)} with scores from ${least} to ${most} in tensor '${tensor}'`;
}

/**
 * Whether coordinates are shares of the picture, not pixels of it: those of pixels are large on the average. null: it
 * cannot be told, of a small picture or of no coordinates.
 */
export function lookLikeShares(
  lists: readonly ArrayLike<number>[],
  { width, height }: { width: number; height: number },
): boolean | null {
  let sum = 0;
  let count = 0;
  for (const list of lists) {
    for (let index = 0; index < list.length; index += 1) sum += Math.abs(list[index]!);
    count += list.length;
  }
  return count === 0 || Math.min(width, height) < 32 ? null : sum / count <= 2;
}
