import type { Size } from '../../../inference/images/geometry.ts';
import { QueryTooComplexError } from '../../../lib/errors.ts';

/**
 * What the masks that one HTTP request has drawn may cover together: an image is paid for once, however many segments it has. A
 * megapixel takes up to 40 ms of a core.
 */
const MAX_DRAWN_PIXELS = 200_000_000;

const drawn = new WeakMap<object, number>();

/**
 * Counts one more mask, of a picture of that size, for the request that `context` is of.
 * @throws QueryTooComplexError past the limit
 */
export function countDrawn(context: object, { width, height }: Size): void {
  const pixels = (drawn.get(context) ?? 0) + width * height;
  drawn.set(context, pixels);
  if (pixels <= MAX_DRAWN_PIXELS) return;
  throw new QueryTooComplexError(
    `png draws for each segment a mask as large as its picture, and at most ${MAX_DRAWN_PIXELS / 1e6} megapixels in one request. The ` +
      'inference is done and billed: ask again for rle instead, which is free under the same idempotency key, or use fewer or ' +
      'smaller pictures.',
  );
}
