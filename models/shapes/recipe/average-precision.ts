import type { Box } from '../generator/scene.ts';

/** An object there is, or one that was answered, of a class of a picture. */
export interface Placed {
  readonly picture: number;
  readonly index: number;
  readonly box: Box;
}
export interface Scored extends Placed {
  readonly score: number;
}

/**
 * Average precision of one class by the rules of PASCAL VOC since 2010 (Everingham et al., "The PASCAL Visual Object Classes
 * Challenge: A Retrospective", 2015, and its development kit's `VOCevaldet`): answers are taken from the highest score down;
 * one is right where the object of its picture that it overlaps most does so by at least `leastIou` and was not found
 * before. The answer is the area under precision over recall, where a recall's precision is the highest of any recall from
 * there on ("all points"). Boxes are continuous here: their edges lie between pixels, the kit's on them.
 * @returns 0..1; NaN where there is no object
 */
export function averagePrecision(
  answers: readonly Scored[],
  objects: readonly Placed[],
  leastIou = 0.5,
): number {
  const objectsOf = Map.groupBy(objects, ({ picture }) => picture);
  const found = new Set<Placed>();
  const precisions: number[] = []; // one a right answer: each adds the same recall
  const descending = [...answers].sort((one, other) => other.score - one.score);
  for (const [rank, { picture, box }] of descending.entries()) {
    const nearest = mostOverlapping(box, objectsOf.get(picture) ?? []);
    if (nearest === null || iou(box, nearest.box) < leastIou || found.has(nearest)) continue;
    found.add(nearest);
    precisions.push(found.size / (rank + 1));
  }
  let area = 0;
  let highest = 0;
  for (const precision of precisions.reverse()) {
    highest = Math.max(highest, precision);
    area += highest;
  }
  return area / objects.length;
}

/** By class index, for the classes that there are objects of. */
export function averagePrecisions(
  answers: readonly Scored[],
  objects: readonly Placed[],
): Map<number, number> {
  const answersOf = Map.groupBy(answers, ({ index }) => index);
  const objectsOf = Map.groupBy(objects, ({ index }) => index);
  return new Map(
    Array.from(objectsOf, ([index, placed]) => [index, averagePrecision(answersOf.get(index) ?? [], placed)]),
  );
}

function mostOverlapping(box: Box, objects: readonly Placed[]): Placed | null {
  let most: Placed | null = null;
  for (const object of objects) {
    if (most === null || iou(box, object.box) > iou(box, most.box)) most = object;
  }
  return most;
}

/** The area two boxes share, as a share of the area they cover together. */
export function iou(one: Box, other: Box): number {
  const width = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const height = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  return shared / (one.width * one.height + other.width * other.height - shared);
}
