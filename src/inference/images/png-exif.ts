import { inflateSync } from 'node:zlib';

/** Of an EXIF structure in bytes: twice what a JPEG can hold. */
export const maxExifBytes = 131_072;

const keyword = Buffer.from('Raw profile type exif\0');

/** Two digits a byte, line breaks, and the lines before them. */
const maxTextLength = maxExifBytes * 2 + maxExifBytes / 8;

/** What a `tEXt` or, compressed, a `zTXt` chunk holds. */
export interface TextChunk {
  readonly compressed: boolean;
  readonly data: Buffer;
}

export function holdsRawExif({ data }: TextChunk): boolean {
  return keyword.equals(data.subarray(0, keyword.length));
}

/**
 * Before PNG had its own chunk for EXIF, ImageMagick kept it as hexadecimal text, which Pillow reads and libvips does not.
 * @returns the TIFF structure that the standard chunk holds; null where the text is no EXIF, is damaged or is too long
 */
export function readRawExif({ compressed, data }: TextChunk): Buffer | null {
  if (data.length > maxTextLength) return null;
  const text = data.subarray(keyword.length);
  if (!compressed) return parseRawProfile(text.toString('latin1'));
  try {
    // The text follows a byte that names the method. Twenty megabytes could inflate to twenty gigabytes.
    const inflated = inflateSync(text.subarray(1), { maxOutputLength: maxTextLength });
    return parseRawProfile(inflated.toString('latin1'));
  } catch {
    return null; // A picture whose EXIF is damaged is shown as it lies.
  }
}

/** Each pattern here must be linear: the text is a stranger's, and this runs on the event loop. */
function parseRawProfile(text: string): Buffer | null {
  const head = /^\s*exif\s+\d+\s/i.exec(text)?.[0];
  if (head === undefined) return null;
  const hex = text.slice(head.length).replace(/\s+/g, '');
  if (/[^\da-f]/i.test(hex)) return null;
  const bytes = Buffer.from(hex, 'hex');
  const tiff = bytes.subarray(bytes.toString('latin1', 0, 6) === 'Exif\0\0' ? 6 : 0);
  const signature = tiff.subarray(0, 4).toString('latin1');
  return signature === 'II*\0' || signature === 'MM\0*' ? tiff : null;
}
