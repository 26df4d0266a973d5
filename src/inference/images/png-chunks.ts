import { crc32 } from 'node:zlib';
import { holdsRawExif, maxExifBytes, readRawExif, type TextChunk } from './png-exif.ts';

const signatureLength = 8;

/** The signature and the IHDR chunk, which is always first and always this long. */
const headerLength = 33;

/** Length, type and checksum. */
const chunkOverhead = 12;

/** Types are compared as numbers: a file has room for a million chunks, and a string for each would hold up the event loop. */
const typeCode = (type: string) => Buffer.from(type, 'latin1').readUInt32BE();
const imageEnd = typeCode('IEND');
const transparency = typeCode('tRNS');
const exif = typeCode('eXIf');
const plainText = typeCode('tEXt');
const compressedText = typeCode('zTXt');

/** Clear in the types of those chunks without which there is no picture: their first letter is a capital. */
const ancillaryBit = 0x2000_0000;

/**
 * The chunks that pixels and orientation come from: all that are critical, transparency, and one of EXIF, which is made of
 * ImageMagick's text where the standard chunk is missing. libvips would inflate every text and colour profile of the file
 * before it tells the picture's size, and each can be a thousand times what it is in the file.
 * @param png begins with PNG's signature; nothing else about it is certain
 */
export function essentialPng(png: Uint8Array): Uint8Array {
  const file = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  const kept = Buffer.allocUnsafe(file.length);
  let length = file.copy(kept, 0, 0, signatureLength);
  let hasExif = false;
  // The first alone: reading one is bounded, and a file has room for a million.
  let exifText: TextChunk | null = null;
  for (let at = signatureLength, end = at; at + 8 <= file.length; at = end) {
    // A chunk that is cut off is kept as far as it goes: libvips says so.
    end = Math.min(file.length, at + file.readUInt32BE(at) + chunkOverhead);
    const type = file.readUInt32BE(at + 4);
    const isExif: boolean = type === exif && !hasExif && end - at <= maxExifBytes + chunkOverhead;
    if ((type & ancillaryBit) === 0 || type === transparency || isExif) {
      length += file.copy(kept, length, at, end);
    } else if (type === plainText || type === compressedText) {
      const text = { compressed: type === compressedText, data: file.subarray(at + 8, end - 4) };
      if (exifText === null && holdsRawExif(text)) exifText = text;
    }
    hasExif ||= isExif;
    if (type === imageEnd) break;
  }
  const essential = kept.subarray(0, length);
  const rawExif = hasExif || exifText === null ? null : readRawExif(exifText);
  if (rawExif === null) return essential;
  return Buffer.concat([
    essential.subarray(0, headerLength),
    exifChunk(rawExif),
    essential.subarray(headerLength),
  ]);
}

function exifChunk(tiff: Buffer): Buffer {
  const typeAndData = Buffer.concat([Buffer.from('eXIf'), tiff]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(tiff.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(typeAndData));
  return Buffer.concat([length, typeAndData, checksum]);
}
