import type { Sharp } from 'sharp';
import type { Placement, Size } from './geometry.ts';
import { sharp } from './libvips.ts';

/**
 * libvips enlarges half an output pixel off the place where Pillow, OpenCV and torchvision do, and lets the edges fade. So the
 * part that is needed is cut out with its edges repeated, scaled with the shift put right, and trimmed. The three steps are
 * taken on raw pixels, since sharp has one order for its operations; only pictures smaller than the model's input come here.
 * @param image of size `from`, smaller than `placement.resized` on at least one axis and larger on none
 * @param window the size of what is seen of the resized picture
 */
export async function enlarge(image: Sharp, from: Size, placement: Placement, window: Size): Promise<Sharp> {
  const { resized, cropLeft, cropTop } = placement;
  const x = alignAxis(from.width, resized.width, cropLeft, window.width);
  const y = alignAxis(from.height, resized.height, cropTop, window.height);
  const part = await image
    .extract({ left: x.start, top: y.start, width: x.length, height: y.length })
    .extend({ left: x.before, right: x.after, top: y.before, bottom: y.after, extendWith: 'copy' })
    .raw({ depth: 'uchar' })
    .toBuffer();
  // Not from sharp, which reports the size before `extend` where there was an `extract` after a `resize`.
  const width = x.before + x.length + x.after;
  const height = y.before + y.length + y.after;
  const matrix: [number, number, number, number] = [x.scale, 0, 0, y.scale];
  const scaled = await sharp(part, { raw: { width, height, channels: 3 } })
    .affine(matrix, { interpolator: 'bilinear', odx: x.shift, ody: y.shift })
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return sharp(scaled.data, { raw: { ...scaled.info, channels: 3 } }).extract({
    left: x.skip,
    top: y.skip,
    ...window,
  });
}

interface AlignedAxis {
  readonly scale: number;
  /** What is cut out of the picture, and how often its edges are repeated around it. */
  readonly start: number;
  readonly length: number;
  readonly before: number;
  readonly after: number;
  /** Added to where the scaled pixels lie, at most half of one, so that whole ones are skipped to reach the first that is seen. */
  readonly shift: number;
  readonly skip: number;
}

/** Pixel centres: the output's j-th lies at (j + crop + ½) / scale − ½ in the picture. */
function alignAxis(from: number, to: number, crop: number, seen: number): AlignedAxis {
  const scale = to / from;
  const at = (j: number) => (j + crop + 0.5) / scale - 0.5;
  const first = Math.floor(at(0)) - 1;
  const end = Math.ceil(at(seen - 1)) + 2;
  const start = Math.max(0, first);
  const length = Math.min(from, end) - start;
  const distance = (at(0) - first) * scale;
  const skip = Math.round(distance);
  return {
    scale,
    start,
    length,
    before: start - first,
    after: end - start - length,
    shift: skip - distance,
    skip,
  };
}
