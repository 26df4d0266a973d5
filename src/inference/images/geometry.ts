import type { InputGeometry } from '../variant.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * Where a picture lies in a model's input: it is resized to `resized`, then the window that begins at (`cropLeft`,
 * `cropTop`) is taken (`cover`), or it is laid at (`padLeft`, `padTop`) (`contain`). All in whole pixels.
 * As a map, in continuous coordinates of pixel edges: input = original · scale + offset, so original = (input − offset) / scale.
 */
export interface Placement {
  readonly resized: Size;
  readonly cropLeft: number;
  readonly cropTop: number;
  readonly padLeft: number;
  readonly padTop: number;
  readonly scaleX: number;
  readonly scaleY: number;
  readonly offsetX: number;
  readonly offsetY: number;
}

/** A box by its edges, in continuous coordinates: a picture of w × h pixels reaches from (0, 0) to (w, h). */
export interface Corners {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

/** A box of the model's input, in pixels of the original; what lies beside the picture stays beside it. */
export function toOriginal(
  { x1, y1, x2, y2 }: Corners,
  { scaleX, scaleY, offsetX, offsetY }: Placement,
): Corners {
  return {
    x1: (x1 - offsetX) / scaleX,
    y1: (y1 - offsetY) / scaleY,
    x2: (x2 - offsetX) / scaleX,
    y2: (y2 - offsetY) / scaleY,
  };
}

/** @param original the oriented original's size in pixels */
export function placeImage(original: Size, geometry: InputGeometry): Placement {
  const { fit, width, height, align } = geometry;
  if (fit === 'fill') return placement(original, { width, height }, 0, 0);
  if (fit === 'cover') {
    const resized = coveringSize(original, geometry);
    return placement(
      original,
      resized,
      -roundHalfToEven((resized.width - width) / 2),
      -roundHalfToEven((resized.height - height) / 2),
    );
  }
  const resized = containedSize(original, geometry);
  if (align === 'top-left') return placement(original, resized, 0, 0);
  return placement(
    original,
    resized,
    Math.floor((width - resized.width) / 2),
    Math.floor((height - resized.height) / 2),
  );
}

function placement(original: Size, resized: Size, offsetX: number, offsetY: number): Placement {
  return {
    resized,
    cropLeft: Math.max(0, -offsetX),
    cropTop: Math.max(0, -offsetY),
    padLeft: Math.max(0, offsetX),
    padTop: Math.max(0, offsetY),
    scaleX: resized.width / original.width,
    scaleY: resized.height / original.height,
    offsetX,
    offsetY,
  };
}

/**
 * torchvision's `Resize(short)`: the long side is truncated, as the published accuracies were computed. Where that does not
 * cover the crop (a crop that is not square, or larger than `resizeShort`), the smallest size that does.
 */
function coveringSize(original: Size, geometry: InputGeometry): Size {
  const { width, height, resizeShort } = geometry;
  if (resizeShort !== null) {
    const short = Math.min(original.width, original.height);
    const resized = {
      width: Math.floor((resizeShort * original.width) / short),
      height: Math.floor((resizeShort * original.height) / short),
    };
    if (resized.width >= width && resized.height >= height) return resized;
  }
  const heightAtFullWidth = Math.floor((width * original.height) / original.width);
  if (heightAtFullWidth >= height) return { width, height: heightAtFullWidth };
  return { width: Math.max(width, Math.floor((height * original.width) / original.height)), height };
}

/** One side fits exactly; the other is the nearest whole number, at least 1. */
function containedSize(original: Size, { width, height }: InputGeometry): Size {
  return original.width * height >= original.height * width
    ? { width, height: Math.max(1, Math.round((width * original.height) / original.width)) }
    : { width: Math.max(1, Math.round((height * original.width) / original.height)), height };
}

/** Python's `round`, which torchvision's `CenterCrop` uses: 0.5 → 0, 1.5 → 2. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
