import type { Size } from '../../../inference/images/geometry.ts';
import type { Box, DetectedObject, Segment } from '../../../inference/request.ts';
import type { CoordinateSpace } from '../../generated/resolvers-types.ts';

/** What was found, with the size of the picture it was found in: only both together can be told in shares of the picture. */
export type InPicture<Found> = Found & { readonly picture: Size };
export type DetectedObjectInPicture = InPicture<DetectedObject>;
export type SegmentInPicture = InPicture<Segment>;

export function inPicture<Found extends object>(
  found: readonly Found[],
  { width, height }: Size,
): InPicture<Found>[] {
  return found.map((each) => ({ ...each, picture: { width, height } }));
}

export function boxIn(space: CoordinateSpace, { box, picture }: InPicture<{ readonly box: Box }>): Box {
  if (space === 'PIXEL') return box;
  return {
    x: box.x / picture.width,
    y: box.y / picture.height,
    width: box.width / picture.width,
    height: box.height / picture.height,
  };
}
