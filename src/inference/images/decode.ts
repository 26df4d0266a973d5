import type { Metadata, Sharp } from 'sharp';
import type { InputGeometry } from '../variant.ts';
import { DecodeGate } from './decode-gate.ts';
import { type Placement, placeImage, type Size } from './geometry.ts';
import { ImageError } from './image-error.ts';
import { sharp } from './libvips.ts';
import { withStandardExif } from './png-exif.ts';
import { type ImageFormat, sniffFormat } from './sniff.ts';

export interface DecodedImage {
  /** Of the oriented original, in pixels. */
  readonly width: number;
  readonly height: number;
  /** `geometry.height · geometry.width · 3` bytes: rows from the top, RGB. */
  readonly pixels: Uint8Array;
  /** Without the wait for a free thread. */
  readonly decodeMs: number;
}

export const maxPixels = 40_000_000;

/** A guard against files made to be slow: the slowest honest one, 40 megapixels of AVIF, takes a fraction of it. */
const maxDecodeSeconds = 20;

/** libvips' own bound on a side. Only a picture some 400,000 times longer than wide can need more, when it is cropped. */
const maxResizedSide = 100_000_000;

/**
 * Makes any picture a model's input, off the event loop. EXIF orientation is applied, alpha dropped, 16-bit scaled to 8, grey
 * spread to RGB, CMYK converted by its profile; other profiles are ignored, as the reference decoders do. A picture that
 * already has the input's size is not resampled: its pixels come through exactly.
 * @throws ImageError, or the signal's reason where it aborts while the picture waits for its turn
 */
export function decodeImage(
  bytes: Uint8Array,
  geometry: InputGeometry,
  signal?: AbortSignal,
): Promise<DecodedImage> {
  return gate.run(() => decode(bytes, geometry), signal);
}

/** One for the process, as libuv's threads are. */
const gate = new DecodeGate();

async function decode(bytes: Uint8Array, geometry: InputGeometry): Promise<DecodedImage> {
  const started = performance.now();
  const format = sniffFormat(bytes);
  if (format === null) throw unsupported(bytes);
  const source = await openImage(bytes, format);
  const placement = placeImage(source.size, geometry);
  if (Math.max(placement.resized.width, placement.resized.height) > maxResizedSide) {
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      `A picture of ${source.size.width} × ${source.size.height} pixels is too long and narrow to be cropped for this model.`,
    );
  }
  const placed = place(await withoutAlpha(source), placement, source.size, geometry);
  const pixels = await readPixels(placed, source);
  if (pixels.byteLength !== geometry.width * geometry.height * 3) {
    throw new ImageError(
      'UNSUPPORTED_FORMAT',
      `This ${format.toUpperCase()}'s colours cannot be read as RGB.`,
    );
  }
  return { ...source.size, pixels, decodeMs: performance.now() - started };
}

interface OpenedImage {
  readonly bytes: Uint8Array;
  readonly format: ImageFormat;
  readonly size: Size;
  readonly hasAlpha: boolean;
  readonly isCmyk: boolean;
}

/** Reads the header alone, so that what is too large is refused before a pixel of it is decoded. */
async function openImage(bytes: Uint8Array, format: ImageFormat): Promise<OpenedImage> {
  const header = await readHeader(bytes, format);
  const oriented = format === 'png' ? withStandardExif(bytes, header) : null;
  if (oriented !== null) return openImage(oriented, format);
  if (header.format === 'heif' && header.compression !== 'av1') {
    throw new ImageError('UNSUPPORTED_FORMAT', 'HEIF pictures are read with AV1 coding alone (AVIF).');
  }
  const { width, height } = header.autoOrient;
  if (width * height > maxPixels) {
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      `The picture has ${width} × ${height} pixels; at most ${maxPixels / 1e6} megapixels are read.`,
    );
  }
  return {
    bytes,
    format,
    size: { width, height },
    hasAlpha: header.hasAlpha,
    isCmyk: header.space === 'cmyk',
  };
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
function decoder({ bytes, isCmyk }: OpenedImage): Sharp {
  return sharp(bytes, { limitInputPixels: maxPixels, failOn: 'truncated', ignoreIcc: !isCmyk })
    .timeout({ seconds: maxDecodeSeconds })
    .autoOrient()
    .removeAlpha()
    .toColourspace('srgb');
}

/**
 * libvips resamples colours weighted by alpha, which blackens what is transparent. To drop alpha rather than blend it, such
 * a picture is decoded whole first, at the cost of three bytes a pixel.
 */
async function withoutAlpha(source: OpenedImage): Promise<Sharp> {
  if (!source.hasAlpha) return decoder(source);
  const opaque = await readPixels(decoder(source), source);
  return sharp(opaque, { raw: { ...source.size, channels: 3 } }).timeout({ seconds: maxDecodeSeconds });
}

/** `linear` is the antialiased triangle filter, as in Pillow and torchvision: the published figures were computed with it. */
function place(image: Sharp, placement: Placement, original: Size, geometry: InputGeometry): Sharp {
  const { width, height } = geometry;
  const { resized, cropLeft, cropTop, padLeft, padTop } = placement;
  let placed = image;
  if (resized.width !== original.width || resized.height !== original.height) {
    placed = placed.resize(resized.width, resized.height, { fit: 'fill', kernel: 'linear' });
  }
  if (geometry.fit === 'contain') {
    const right = width - resized.width - padLeft;
    const bottom = height - resized.height - padTop;
    const background = { r: geometry.pad, g: geometry.pad, b: geometry.pad };
    return placed.extend({ left: padLeft, top: padTop, right, bottom, background });
  }
  if (resized.width === width && resized.height === height) return placed;
  return placed.extract({ left: cropLeft, top: cropTop, width, height });
}

async function readPixels(image: Sharp, { bytes, format }: OpenedImage): Promise<Uint8Array> {
  try {
    return await image.raw({ depth: 'uchar' }).toBuffer();
  } catch (error) {
    if (error instanceof Error && error.message.includes('timeout')) {
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
