import { availableParallelism } from 'node:os';
import type { Metadata, Sharp } from 'sharp';
import { Gate, type Turn } from '../gate.ts';
import type { InputGeometry } from '../variant.ts';
import { enlarge } from './enlarge.ts';
import { type Placement, placeImage, type Size } from './geometry.ts';
import { ImageError } from './image-error.ts';
import { readPlainJpeg } from './jpeg-header.ts';
import { sharp } from './libvips.ts';
import { essentialPng } from './png-chunks.ts';
import { type ImageFormat, sniffFormat } from './sniff.ts';
import { essentialTiff } from './tiff-directory.ts';

export interface DecodedImage {
  /** Of the oriented original, in pixels. */
  readonly width: number;
  readonly height: number;
  /** `geometry.height · geometry.width · 3` bytes: rows from the top, RGB. */
  readonly pixels: Uint8Array;
  /** Without the waits for a free thread and for room. */
  readonly decodeMs: number;
}

export const maxPixels = 40_000_000;

/** A guard against files made to be slow: the slowest honest one, 40 megapixels of AVIF, takes a fraction of it. */
const maxDecodeSeconds = 20;

/**
 * Makes any picture a model's input, off the event loop. EXIF orientation is applied, alpha dropped, 16-bit scaled to 8, grey
 * spread to RGB, CMYK converted by its profile; other profiles are ignored, as the reference decoders do. A picture that
 * already has the input's size is not resampled: its pixels come through exactly.
 * @param turn whose picture it is: owners take turns, by the pixels they send
 * @throws ImageError, or the signal's reason where it aborts while the picture waits for its turn
 */
export async function decodeImage(
  bytes: Uint8Array,
  geometry: InputGeometry,
  turn: Turn = {},
): Promise<DecodedImage> {
  const format = sniffFormat(bytes);
  if (format === null) throw unsupported(bytes);
  const plain = format === 'jpeg' ? openPlainJpeg(bytes) : null;
  const opened = plain
    ? { value: plain, ms: 0 }
    : await threads.run(() => timed(() => openImage(bytes, format)), turn);
  const source = opened.value;
  const weight = source.size.width * source.size.height;
  const placement = placeImage(source.size, geometry);
  // Room first and a thread then: one that waits for room must not keep a thread from those that have it.
  const rendered = await pixelsInWork.run(
    () => threads.run(() => timed(() => render(source, placement, geometry)), turn),
    { ...turn, weight },
  );
  const pixels = rendered.value;
  if (pixels.byteLength !== geometry.width * geometry.height * 3) {
    throw new ImageError(
      'UNSUPPORTED_FORMAT',
      `This ${format.toUpperCase()}'s colours cannot be read as RGB.`,
    );
  }
  return { ...source.size, pixels, decodeMs: opened.ms + rendered.ms };
}

/**
 * Decodes at once in the process. They run in libuv's pool of four threads, which password hashing and the file system share:
 * more than there are cores gain nothing and starve the rest.
 */
const threads = new Gate(availableParallelism());

/** Pixels at once in the process: as many as the largest picture has, which may take a gigabyte. */
const pixelsInWork = new Gate(maxPixels);

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const started = performance.now();
  return { value: await work(), ms: performance.now() - started };
}

function render(source: OpenedImage, placement: Placement, geometry: InputGeometry): Promise<Buffer> {
  return decoding(source, async () => {
    const placed = await place(await withoutAlpha(source), placement, source.size, geometry);
    return placed.raw({ depth: 'uchar' }).toBuffer();
  });
}

interface OpenedImage {
  readonly bytes: Uint8Array;
  readonly format: ImageFormat;
  readonly size: Size;
  readonly hasAlpha: boolean;
  /** As stored: 1 and absent are upright. */
  readonly orientation: number;
  /** The colours as libvips calls them; `srgb` is what a model takes. */
  readonly space: string;
}

/** Reads the header alone, so that what is too large is refused before a pixel of it is decoded. */
async function openImage(file: Uint8Array, format: ImageFormat): Promise<OpenedImage> {
  const bytes = essential(file, format);
  const header = await readHeader(bytes, format);
  if (header.format === 'heif' && header.compression !== 'av1') {
    throw new ImageError('UNSUPPORTED_FORMAT', 'HEIF pictures are read with AV1 coding alone (AVIF).');
  }
  const { width, height } = header.autoOrient;
  requireReadable({ width, height });
  return {
    bytes,
    format,
    size: { width, height },
    hasAlpha: header.hasAlpha,
    orientation: header.orientation ?? 1,
    space: header.space,
  };
}

function openPlainJpeg(bytes: Uint8Array): OpenedImage | null {
  const header = readPlainJpeg(bytes);
  if (header === null) return null;
  requireReadable(header.size);
  const space = header.isGrey ? 'b-w' : 'srgb';
  return { bytes, format: 'jpeg', size: header.size, hasAlpha: false, orientation: 1, space };
}

function requireReadable({ width, height }: Size): void {
  if (width * height <= maxPixels) return;
  throw new ImageError(
    'IMAGE_TOO_LARGE',
    `The picture has ${width} × ${height} pixels; at most ${maxPixels / 1e6} megapixels are read.`,
  );
}

/** Two formats have room for more than they weigh, and libvips unpacks all of it before it tells the picture's size. */
function essential(file: Uint8Array, format: ImageFormat): Uint8Array {
  if (format === 'png') return essentialPng(file);
  if (format === 'tiff') return essentialTiff(file);
  return file;
}

async function readHeader(bytes: Uint8Array, format: ImageFormat): Promise<Metadata> {
  try {
    // No pixel limit here: the check above tells the client the size.
    return await sharp(bytes, { limitInputPixels: false, failOn: 'truncated' }).metadata();
  } catch {
    throw damaged(format); // libvips' own text speaks of its internals, at length
  }
}

/** `truncated` refuses missing pixels and forgives what browsers and Pillow forgive, such as odd metadata. */
function decoder({ bytes, orientation, space }: OpenedImage): Sharp {
  const image = sharp(bytes, {
    limitInputPixels: maxPixels,
    failOn: 'truncated',
    ignoreIcc: space !== 'cmyk',
  })
    .timeout({ seconds: maxDecodeSeconds })
    .removeAlpha();
  // Each step costs time, also where it changes nothing.
  if (orientation !== 1) image.autoOrient();
  return space === 'srgb' ? image : image.toColourspace('srgb');
}

/**
 * libvips resamples colours weighted by alpha, which blackens what is transparent. To drop alpha rather than blend it, such
 * a picture is decoded whole first, at the cost of three bytes a pixel.
 */
async function withoutAlpha(source: OpenedImage): Promise<Sharp> {
  if (!source.hasAlpha) return decoder(source);
  const opaque = await decoder(source).raw({ depth: 'uchar' }).toBuffer();
  return sharp(opaque, { raw: { ...source.size, channels: 3 } }).timeout({ seconds: maxDecodeSeconds });
}

/** `linear` is the antialiased triangle filter, as in Pillow and torchvision: the published figures were computed with it. */
async function place(
  image: Sharp,
  placement: Placement,
  original: Size,
  { width, height, fit, pad }: InputGeometry,
): Promise<Sharp> {
  const { resized, cropLeft, cropTop, padLeft, padTop } = placement;
  const shrunk = {
    width: Math.min(resized.width, original.width),
    height: Math.min(resized.height, original.height),
  };
  const seen = { width: Math.min(resized.width, width), height: Math.min(resized.height, height) };
  let placed = image;
  if (!sameSize(shrunk, original)) {
    // Decoding at half size where that is enough would be faster, and off by a grey level or more.
    placed = placed.resize(shrunk.width, shrunk.height, {
      fit: 'fill',
      kernel: 'linear',
      fastShrinkOnLoad: false,
    });
  }
  if (!sameSize(shrunk, resized)) placed = await enlarge(placed, shrunk, placement, seen);
  else if (!sameSize(resized, seen)) placed = placed.extract({ left: cropLeft, top: cropTop, ...seen });
  if (fit !== 'contain') return placed;
  const right = width - resized.width - padLeft;
  const bottom = height - resized.height - padTop;
  return placed.extend({ left: padLeft, top: padTop, right, bottom, background: { r: pad, g: pad, b: pad } });
}

function sameSize(a: Size, b: Size): boolean {
  return a.width === b.width && a.height === b.height;
}

/** Turns what libvips says into what the client is told. */
async function decoding<T>({ bytes, format }: OpenedImage, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    // A step that was asked for wrongly is a fault of ours, not of the picture.
    if (/^Expected |bad extract area/.test(message)) throw error;
    if (message.includes('timeout')) {
      throw new ImageError('CORRUPT_IMAGE', `The ${format.toUpperCase()} takes too long to decode.`);
    }
    if (format === 'jpeg' && endsWithItsHeader(bytes)) {
      throw new ImageError('UNSUPPORTED_FORMAT', 'The JPEG is a header alone, without a picture.');
    }
    throw damaged(format);
  }
}

/** Whether nothing follows the last start-of-scan segment: there a JPEG's pixels begin. */
function endsWithItsHeader(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const scan = file.lastIndexOf('\xff\xda', undefined, 'latin1');
  return scan >= 0 && scan + 4 <= file.length && scan + 2 + file.readUInt16BE(scan + 2) >= file.length;
}

function unsupported(bytes: Uint8Array): ImageError {
  if (bytes.byteLength === 0) return new ImageError('CORRUPT_IMAGE', 'The picture has no bytes.');
  return new ImageError(
    'UNSUPPORTED_FORMAT',
    'The bytes are no picture of a format that is read: send JPEG, PNG, WebP, AVIF, GIF or TIFF.',
  );
}

function damaged(format: ImageFormat): ImageError {
  return new ImageError('CORRUPT_IMAGE', `The ${format.toUpperCase()} is damaged or cut off.`);
}
