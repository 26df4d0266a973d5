import { crc32 } from 'node:zlib';
import type { Metadata } from 'sharp';

/** The signature and the IHDR chunk, which is always first and always this long. */
const headerLength = 33;

/**
 * Before PNG had its own chunk for EXIF, ImageMagick kept it as hexadecimal text. Pillow reads that and libvips does not, so
 * the picture is given the standard chunk it lacks; null where there is nothing to add.
 */
export function withStandardExif(png: Uint8Array, { exif, comments }: Metadata): Uint8Array | null {
  if (exif !== undefined) return null;
  const profile = comments?.find(({ keyword }) => keyword === 'Raw profile type exif');
  const tiff = profile === undefined ? null : readRawProfile(profile.text);
  if (tiff === null) return null;
  const typeAndData = Buffer.concat([Buffer.from('eXIf'), tiff]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(tiff.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(typeAndData));
  return Buffer.concat([
    png.subarray(0, headerLength),
    length,
    typeAndData,
    checksum,
    png.subarray(headerLength),
  ]);
}

/** The text is a name, a length and hexadecimal lines; the bytes are a TIFF structure behind `Exif` and two zeros. */
function readRawProfile(text: string): Buffer | null {
  const hex = /^\s*exif\s+\d+\s+([\da-f\s]+)$/i.exec(text)?.[1];
  if (hex === undefined) return null;
  const bytes = Buffer.from(hex.replace(/\s/g, ''), 'hex');
  const tiff = bytes.subarray(bytes.indexOf('Exif\0\0') === 0 ? 6 : 0);
  const signature = tiff.subarray(0, 4).toString('latin1');
  return signature === 'II*\0' || signature === 'MM\0*' ? tiff : null;
}
