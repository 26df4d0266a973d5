import { readFileSync } from 'node:fs';
import type { Sharp } from 'sharp';
import { sharp } from '../../src/inference/images/libvips.ts';
import type { BoxData } from './graphql-client.ts';

/** EXIF's eight ways to lay a picture down. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;
export const orientations: readonly Orientation[] = [1, 2, 3, 4, 5, 6, 7, 8];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A file with a magenta rectangle in it, and where that is once the picture stands upright. */
export interface MarkedPicture {
  readonly file: Buffer;
  readonly upright: Size;
  readonly marker: BoxData;
}

/**
 * Where the rectangle lies in the pixels as they are stored. Its edges are those of the blocks of JPEG and AVIF, so that no
 * colour bleeds; it is off both centre lines, so that no two orientations show it in one place; and it lies within the middle
 * square of every picture that is marked here.
 */
export const storedMarker: BoxData = { x: 96, y: 112, width: 144, height: 96 };

/**
 * Of a point stored at (x, y) of `width` × `height`: where it is seen. From the definition of EXIF's tag 0x0112, which says on
 * which side of the picture the first row and the first column are: 6 has its first row on the right and its first column on top.
 */
const seen: Record<Orientation, (x: number, y: number, stored: Size) => [x: number, y: number]> = {
  1: (x, y) => [x, y],
  2: (x, y, { width }) => [width - x, y],
  3: (x, y, { width, height }) => [width - x, height - y],
  4: (x, y, { height }) => [x, height - y],
  5: (x, y) => [y, x],
  6: (x, y, { height }) => [height - y, x],
  7: (x, y, { width, height }) => [height - y, width - x],
  8: (x, y, { width }) => [y, width - x],
};

export function uprightSize({ width, height }: Size, orientation: Orientation): Size {
  return orientation < 5 ? { width, height } : { width: height, height: width };
}

/** Where `storedMarker` is seen in a picture whose pixels are stored as `stored`. */
export function seenMarker(stored: Size, orientation: Orientation): BoxData {
  const { x, y, width, height } = storedMarker;
  const [x1, y1] = seen[orientation](x, y, stored);
  const [x2, y2] = seen[orientation](x + width, y + height, stored);
  return {
    x: Math.min(x1, x2),
    y: Math.min(y1, y2),
    width: Math.abs(x2 - x1),
    height: Math.abs(y2 - y1),
  };
}

const encoders = {
  jpeg: (image: Sharp) => image.jpeg({ quality: 95, chromaSubsampling: '4:4:4' }),
  png: (image: Sharp) => image.png(),
  webp: (image: Sharp) => image.webp({ lossless: true }),
  tiff: (image: Sharp) => image.tiff({ compression: 'lzw' }),
};

/** A picture that is `upright` once its tag is obeyed: a slope of greens, marked. */
export async function markedSlope(
  upright: Size,
  orientation: Orientation,
  format: keyof typeof encoders,
): Promise<MarkedPicture> {
  const stored = uprightSize(upright, orientation); // which is its own inverse
  const slope = new Uint8Array(stored.width * stored.height * 3);
  for (let at = 0; at < slope.length / 3; at += 1)
    slope.set([Math.floor(at / stored.width) % 160, 200, (at % stored.width) % 160], at * 3);
  const image = marked(sharp(slope, { raw: { ...stored, channels: 3 } }));
  const file = await encoders[format](image.withMetadata({ orientation })).toBuffer();
  return { file, upright, marker: seenMarker(stored, orientation) };
}

/** The JPEG of a file, marked as it lies; its EXIF stays. */
export async function markJpeg(path: string, orientation: Orientation): Promise<MarkedPicture> {
  const stored = sizeOf(await sharp(path).metadata());
  const file = await encoders.jpeg(marked(sharp(path)).keepExif()).toBuffer();
  return markedPicture(file, stored, orientation);
}

/** The PNG of a file, marked as it lies; ImageMagick's text, in which the tag is, stays. */
export async function markPng(path: string, orientation: Orientation): Promise<MarkedPicture> {
  const stored = sizeOf(await sharp(path).metadata());
  const png = await marked(sharp(path)).png().toBuffer();
  const original = readFileSync(path);
  const at = original.indexOf('tEXtRaw profile type exif', 0, 'latin1') - 4;
  const text = original.subarray(at, at + 12 + original.readUInt32BE(at));
  const headerEnd = 33;
  const file = Buffer.concat([png.subarray(0, headerEnd), text, png.subarray(headerEnd)]);
  return markedPicture(file, stored, orientation);
}

/**
 * The AVIF of a file, marked as it lies. Everything in it stays but the coded picture: another is appended, and the first entry
 * of the item location box, which is the picture's, points there.
 */
export async function markAvif(path: string, orientation: Orientation): Promise<MarkedPicture> {
  const upright = sizeOf(await sharp(path).metadata());
  const stored = uprightSize(upright, orientation);
  // A picture of the coded size: what was in it is of no matter, and a decoder shows it upright alone.
  const plain = sharp({ create: { ...stored, channels: 3, background: '#40a060' } });
  const avif = await marked(plain).avif({ quality: 90, chromaSubsampling: '4:2:0' }).toBuffer();
  const coded = boxPayload(avif, 'mdat');

  const original = Buffer.from(readFileSync(path));
  const location = boxPayload(original, 'iloc');
  // Version 0, offsets and lengths of four bytes; then the item's number, its file and how many parts it has: one.
  if (location.readUInt32BE(0) !== 0 || location.readUInt16BE(4) !== 0x44_00) {
    throw new Error('the item location box is not laid out as expected');
  }
  const firstExtent = 14;
  location.writeUInt32BE(original.length + 8, firstExtent);
  location.writeUInt32BE(coded.length, firstExtent + 4);
  const header = Buffer.alloc(8);
  header.writeUInt32BE(coded.length + 8);
  header.write('mdat', 4, 'latin1');
  return markedPicture(Buffer.concat([original, header, coded]), stored, orientation);
}

function markedPicture(file: Buffer, stored: Size, orientation: Orientation): MarkedPicture {
  return {
    file,
    upright: uprightSize(stored, orientation),
    marker: seenMarker(stored, orientation),
  };
}

function marked(image: Sharp): Sharp {
  const { x: left, y: top, width, height } = storedMarker;
  const rectangle = { create: { width, height, channels: 3, background: '#ff00ff' } } as const;
  return image.composite([{ input: rectangle, left, top }]).removeAlpha();
}

function sizeOf({ width, height }: Size): Size {
  return { width, height };
}

/** A view of what a box holds. */
function boxPayload(file: Buffer, type: string): Buffer {
  const at = file.indexOf(type, 0, 'latin1') - 4;
  if (at < 0) throw new Error(`the file has no ${type} box`);
  return file.subarray(at + 8, at + file.readUInt32BE(at));
}
