import type { Size } from './geometry.ts';

export interface JpegHeader {
  readonly size: Size;
  readonly isGrey: boolean;
}

/** Baseline, extended and progressive: what everybody writes. */
const framesStart = new Set([0xc0, 0xc1, 0xc2]);
const SCAN_STARTS = 0xda;
/** Tables, comments, and what applications add, but for APP1, in which EXIF data stand: each tells its length. */
const passedOver = new Set([
  0xc4,
  0xdb,
  0xdd,
  0xfe,
  0xe0,
  ...Array.from({ length: 14 }, (_, index) => 0xe2 + index),
]);
/** A file made of segments alone would hold up the event loop. */
const MOST_SEGMENTS = 64;

/**
 * What the header of a plain JPEG says of its pixels: read here, since a trip through libvips for it costs a tenth of what
 * decoding does. null for whatever is not as plain as can be (EXIF, which may turn it, CMYK, padding between segments): there
 * libvips must tell, and no file may look like one picture here and like another there.
 */
export function readPlainJpeg(jpeg: Uint8Array): JpegHeader | null {
  const view = new DataView(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
  let header: JpegHeader | null = null;
  let at = 2;
  // A segment: a marker of two bytes, then its length in two, which counts itself, then what it holds.
  for (let segments = 0; segments < MOST_SEGMENTS && at + 10 <= view.byteLength; segments++) {
    const marker = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    if (view.getUint8(at) !== 0xff || length < 2) return null;
    if (marker === SCAN_STARTS) return header;
    if (framesStart.has(marker)) {
      if (header !== null) return null;
      header = frameOf(view, at);
      if (header === null) return null;
    } else if (!passedOver.has(marker)) return null;
    at += 2 + length;
  }
  return null;
}

function frameOf(view: DataView, at: number): JpegHeader | null {
  const [bits, height, width] = [view.getUint8(at + 4), view.getUint16(at + 5), view.getUint16(at + 7)];
  const components = view.getUint8(at + 9);
  const isPlain = bits === 8 && (components === 1 || components === 3);
  // A height of 0 is told after the pixels.
  return isPlain && width * height > 0 ? { size: { width, height }, isGrey: components === 1 } : null;
}
