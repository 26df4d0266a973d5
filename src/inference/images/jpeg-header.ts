import type { Size } from './geometry.ts';

export interface JpegHeader {
  readonly size: Size;
  readonly isGrey: boolean;
}

const APP1 = 0xe1;
const START_OF_SCAN = 0xda;

/**
 * What the header of a plain JPEG says of its pixels: read here, since a trip through libvips for it costs a tenth of what
 * decoding does. null for one that has more to tell (EXIF, which may turn it, or CMYK) or is not as it should be: libvips knows.
 */
export function readPlainJpeg(jpeg: Uint8Array): JpegHeader | null {
  const view = new DataView(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
  let header: JpegHeader | null = null;
  // A segment: a marker of two bytes, then its length in two, which counts itself, then what it holds.
  for (let at = 2; at + 10 <= view.byteLength; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint8(at + 1);
    if (view.getUint8(at) !== 0xff || marker === APP1) return null;
    if (marker === START_OF_SCAN) return header;
    if (!isStartOfFrame(marker)) continue;
    const [bits, height, width] = [view.getUint8(at + 4), view.getUint16(at + 5), view.getUint16(at + 7)];
    const components = view.getUint8(at + 9);
    const isPlain = bits === 8 && (components === 1 || components === 3);
    // A height of 0 is told after the pixels.
    if (header !== null || !isPlain || width * height === 0) return null;
    header = { size: { width, height }, isGrey: components === 1 };
  }
  return null;
}

/** Baseline, extended and progressive: what everybody writes. */
function isStartOfFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xc2;
}
