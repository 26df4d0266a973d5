import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../../src/inference/images/decode.ts';
import { ImageError } from '../../../src/inference/images/image-error.ts';
import { sharedData } from '../../support/shared-data.ts';
import { geometry, noisyPicture } from './pictures.ts';

const folder = sharedData('malformed');

/** Resident memory that a run over hostile files may add; a bomb that went off would take gigabytes. */
const memoryAllowed = 600_000_000;

describe.skipIf(folder === null)('malformed files (needs shared data: malformed)', () => {
  test('each is an error of its own or a picture, and none takes much memory', async () => {
    const before = process.memoryUsage.rss();
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss());
    }, 2);
    const codes: Record<string, string> = {};
    try {
      for (const file of readdirSync(folder!)) codes[file] = await outcome(readFileSync(`${folder}/${file}`));
    } finally {
      clearInterval(watch);
    }
    expect(peak - before).toBeLessThan(memoryAllowed);
    expect(codes).toMatchObject({
      'pillow_badrle.bmp': 'UNSUPPORTED_FORMAT',
      'pillow_broken_data_stream.png': 'CORRUPT_IMAGE',
      'pillow_broken_exif_dpi.jpg': '100 × 100',
      'pillow_decompression_bomb.ico': 'UNSUPPORTED_FORMAT',
      'pillow_hopper_bad_exif.jpg': '500 × 500',
      'pillow_hopper_idat_after_image_end.png': '128 × 128',
      'pillow_oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif': 'CORRUPT_IMAGE',
      'pillow_pngtest_bad.png.bin': 'UNSUPPORTED_FORMAT',
      'pillow_seek_too_large.tif': 'CORRUPT_IMAGE',
      'pillow_syntax_num_frames_zero.png': 'CORRUPT_IMAGE',
      'pillow_truncated_image.png': 'CORRUPT_IMAGE',
      'pillow_zero_height.j2k': 'UNSUPPORTED_FORMAT',
      'sharp_65536-uint32-limit.png': 'IMAGE_TOO_LARGE',
      'sharp_corrupt-header.jpg': 'CORRUPT_IMAGE',
      'sharp_giant-image.jpg': 'IMAGE_TOO_LARGE',
      'sharp_truncated.png': 'CORRUPT_IMAGE',
    });
  });
});

describe('bytes that are no picture', () => {
  test.each([
    ['no bytes', '', 'CORRUPT_IMAGE'],
    ['zeros', '\0'.repeat(100), 'UNSUPPORTED_FORMAT'],
    ['text', 'hello', 'UNSUPPORTED_FORMAT'],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 'UNSUPPORTED_FORMAT'],
    ['PDF', '%PDF-1.7', 'UNSUPPORTED_FORMAT'],
    ['HEIC', '\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'UNSUPPORTED_FORMAT'],
    ['HEIC under a neutral brand', '\0\0\0\x18ftypmif1\0\0\0\0mif1heic', 'UNSUPPORTED_FORMAT'],
    ['WebP of another RIFF', 'RIFF\x04\0\0\0WAVE', 'UNSUPPORTED_FORMAT'],
    ['a JPEG signature alone', '\xff\xd8\xff', 'CORRUPT_IMAGE'],
    ['a PNG signature alone', '\x89PNG\r\n\x1a\n', 'CORRUPT_IMAGE'],
    ['a GIF signature alone', 'GIF89a', 'CORRUPT_IMAGE'],
    ['a WebP signature alone', 'RIFF\x04\0\0\0WEBP', 'CORRUPT_IMAGE'],
    ['a TIFF signature alone', 'II*\0', 'CORRUPT_IMAGE'],
    ['an AVIF brand alone', '\0\0\0\x18ftypavif\0\0\0\0mif1avif', 'CORRUPT_IMAGE'],
  ])('%s', async (_name, text, code) => {
    expect(await outcome(Buffer.from(text, 'latin1'))).toBe(code);
  });
});

describe('a file that is cut off', () => {
  const { image } = noisyPicture(160, 120);
  const encoders = {
    'a JPEG': () => image.clone().jpeg().toBuffer(),
    'a progressive JPEG': () => image.clone().jpeg({ progressive: true }).toBuffer(),
    'a PNG': () => image.clone().png().toBuffer(),
    'an interlaced PNG': () => image.clone().png({ progressive: true }).toBuffer(),
    'a WebP': () => image.clone().webp().toBuffer(),
    'a lossless WebP': () => image.clone().webp({ lossless: true }).toBuffer(),
    'a GIF': () => image.clone().gif().toBuffer(),
    'a TIFF': () => image.clone().tiff({ compression: 'lzw' }).toBuffer(),
    'an AVIF': () => image.clone().avif({ effort: 0 }).toBuffer(),
  };

  test.each(Object.entries(encoders))('%s is no answer', async (_name, encode) => {
    const bytes = await encode();
    expect(await outcome(bytes)).toBe('160 × 120');
    const wrong: string[] = [];
    for (const percent of [1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95]) {
      const cut = bytes.subarray(0, Math.floor((bytes.length * percent) / 100));
      for (const fit of ['fill', 'cover', 'contain'] as const) {
        const code = await outcome(cut, fit);
        if (code !== 'CORRUPT_IMAGE' && code !== 'UNSUPPORTED_FORMAT')
          wrong.push(`${percent} % (${fit}): ${code}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test.each(Object.entries(encoders))(
    '%s with flipped bits is an error or a picture',
    async (_name, encode) => {
      const bytes = await encode();
      for (let round = 0; round < 60; round++) {
        const damaged = Buffer.from(bytes);
        for (let flip = 0; flip < 4; flip++) {
          const at = (round * 7919 + flip * 104729) % damaged.length;
          damaged[at] = damaged[at]! ^ (1 << ((round + flip) % 8));
        }
        await outcome(damaged);
      }
    },
  );
});

/** A code, or the picture's size; whatever is neither an ImageError nor a picture fails the test. */
async function outcome(bytes: Uint8Array, fit: 'fill' | 'cover' | 'contain' = 'fill'): Promise<string> {
  try {
    const { width, height, pixels } = await decodeImage(bytes, geometry({ width: 32, height: 32, fit }));
    expect(pixels).toHaveLength(32 * 32 * 3);
    return `${width} × ${height}`;
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    expect(error.message).not.toMatch(/vips|\/|\n/i);
    expect(error.message.length).toBeLessThan(160);
    return error.code;
  }
}
