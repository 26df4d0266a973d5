import { ImageError } from './image-error.ts';

/** What pixels and their orientation come from. */
const essentialTags = new Set([
  // Size, samples, compression, colour and orientation.
  256, 257, 258, 259, 262, 266, 274, 277, 284, 292, 293, 317, 320, 332, 334, 338, 339, 340, 341, 347,
  // Where strips and tiles lie.
  273, 278, 279, 322, 323, 324, 325,
  // YCbCr, black and white, and the profile that CMYK is converted by.
  529, 530, 531, 532, 34675,
]);

/** Of what one of those tags may hold, but for the places of strips and tiles: a CMYK profile has at most three million. */
const maxTagBytes = 4_000_000;
const placeTags = new Set([273, 279, 324, 325]);

/** By field type, from BYTE to IFD8. */
const bytesOfType = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];

/**
 * The file with a directory of the essential tags alone, and of its first page alone. Any number of tags may claim the same
 * bytes of the file; libtiff copies them for each, and once that has taken 50 MB it hands out null pointers for text, which
 * libvips follows: a file of 18 MB, claimed by three descriptions, ends the process.
 * @param tiff begins with TIFF's signature, classic or BigTIFF
 * @throws ImageError where the directory does not lie in the file
 */
export function essentialTiff(tiff: Uint8Array): Uint8Array {
  try {
    return withEssentialTags(Buffer.from(tiff.buffer, tiff.byteOffset, tiff.byteLength));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ImageError('CORRUPT_IMAGE', 'The TIFF is damaged or cut off.');
  }
}

/** @throws RangeError where it would read outside the file */
function withEssentialTags(file: Buffer): Buffer {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const isLittle = view.getUint8(0) === 0x49;
  const { offsetAt, countBytes, offsetBytes } = view.getUint16(2, isLittle) === 43 ? bigTiff : classic;
  const entryBytes = 4 + 2 * offsetBytes;
  const uint16 = (at: number) => view.getUint16(at, isLittle);
  const offset = (at: number) =>
    offsetBytes === 4 ? view.getUint32(at, isLittle) : Number(view.getBigUint64(at, isLittle));

  const directory = offset(offsetAt);
  const count = countBytes === 2 ? uint16(directory) : offset(directory);
  const kept = new Map<number, Buffer>();
  for (let i = 0, at = directory + countBytes; i < count; i++, at += entryBytes) {
    const tag = uint16(at);
    const bytes = (bytesOfType[uint16(at + 2)] ?? 0) * offset(at + 4);
    const isBounded = placeTags.has(tag) || bytes <= maxTagBytes;
    if (essentialTags.has(tag) && isBounded && !kept.has(tag))
      kept.set(tag, file.subarray(at, at + entryBytes));
  }

  // It follows the file, at an even offset, and ends in zeros: no page comes after it.
  const start = file.length + (file.length % 2);
  const end = start + countBytes + kept.size * entryBytes;
  const rewritten = Buffer.alloc(end + offsetBytes);
  file.copy(rewritten);
  Buffer.concat([...kept.values()]).copy(rewritten, start + countBytes);
  const write = new DataView(rewritten.buffer, rewritten.byteOffset, rewritten.length);
  const writeUint = (at: number, value: number, bytes: number) => {
    if (bytes === 2) write.setUint16(at, value, isLittle);
    else if (bytes === 4) write.setUint32(at, value, isLittle);
    else write.setBigUint64(at, BigInt(value), isLittle);
  };
  writeUint(offsetAt, start, offsetBytes);
  writeUint(start, kept.size, countBytes);
  return rewritten;
}

/** Where the header keeps the first directory's offset, and how wide, in bytes, a directory's count and every offset are. */
const classic = { offsetAt: 4, countBytes: 2, offsetBytes: 4 };
const bigTiff = { offsetAt: 8, countBytes: 8, offsetBytes: 8 };
