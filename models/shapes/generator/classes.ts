import { colours } from './colours.ts';
import { kinds } from './kinds.ts';

/** What a classifier's columns mean, in order: every colour of the first kind, then of the second, and so on. */
export const labels: readonly string[] = kinds.flatMap((kind) =>
  colours.map((colour) => `${colour} ${kind}`),
);

/** The column of `labels` that an object belongs to. */
export function classOf(object: { readonly kind: string; readonly colour: string }): number {
  return labels.indexOf(`${object.colour} ${object.kind}`);
}
