import { crc32 } from 'node:zlib';
import { type DecodedImage, decodeImage } from '../../../src/inference/images/decode.ts';
import { sharp } from '../../../src/inference/images/libvips.ts';
import type { InputGeometry } from '../../../src/inference/variant.ts';

export function geometry(overrides: Partial<InputGeometry> = {}): InputGeometry {
  return { width: 224, height: 224, fit: 'fill', resizeShort: null, align: 'center', pad: 0, ...overrides };
}

/** The picture's own pixels: an input of its own size is not resampled. */
export async function readAtOwnSize(bytes: Uint8Array): Promise<DecodedImage> {
  const { width, height } = await decodeImage(bytes, geometry({ width: 1, height: 1 }));
  return decodeImage(bytes, geometry({ width, height }));
}

type Pixels = Pick<DecodedImage, 'width' | 'height' | 'pixels'>;

/** Of the top left `window`, or of all. */
export function meanColour(
  { width, height, pixels }: Pixels,
  window = { left: 0, top: 0, width, height } as {
    left?: number;
    top?: number;
    width: number;
    height: number;
  },
): [number, number, number] {
  const { left = 0, top = 0 } = window;
  const sums: [number, number, number] = [0, 0, 0];
  for (let y = top; y < top + window.height; y++) {
    for (let x = left; x < left + window.width; x++) {
      const at = (y * width + x) * 3;
      sums[0] += pixels[at]!;
      sums[1] += pixels[at + 1]!;
      sums[2] += pixels[at + 2]!;
    }
  }
  const count = window.width * window.height;
  return [sums[0] / count, sums[1] / count, sums[2] / count];
}

export function meanDifference(a: Pixels, b: Pixels): number {
  if (a.pixels.length !== b.pixels.length) return Number.POSITIVE_INFINITY;
  return a.pixels.reduce((sum, value, at) => sum + Math.abs(value - b.pixels[at]!), 0) / a.pixels.length;
}

export function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

/** A photograph-like picture: smooth colours with noise, so that no encoder can fold it away. */
export function noisyPicture(width: number, height: number, channels: 3 | 4 = 3) {
  const pixels = Buffer.alloc(width * height * channels);
  let noise = 1;
  for (let at = 0; at < pixels.length; at++) {
    noise = (noise * 1103515245 + 12345) % 2147483648;
    const x = Math.floor(at / channels) % width;
    pixels[at] = (x * 255) / width / 2 + ((noise >> 16) % 128);
  }
  return { pixels, image: sharp(pixels, { raw: { width, height, channels } }) };
}

/** Every pixel its own coordinates: red counts columns and green rows. */
export function coordinatePicture(width: number, height: number) {
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    pixels[at * 3] = at % width;
    pixels[at * 3 + 1] = Math.floor(at / width);
  }
  return { pixels, image: sharp(pixels, { raw: { width, height, channels: 3 } }) };
}
