import { crc32, deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../../src/inference/images/decode.ts';
import { sharp } from '../../../src/inference/images/libvips.ts';
import { geometry, pngChunk } from './pictures.ts';

/** Black pixels of any number: a thousandth of their size when compressed. */
function blackPng(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const pixels = deflateSync(Buffer.alloc((width * 3 + 1) * height), { level: 1 });
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    pngChunk('IDAT', pixels),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

describe('40 megapixels', () => {
  test('are read', async () => {
    const { width, height } = await decodeImage(blackPng(8000, 5000), geometry());
    expect([width, height]).toEqual([8000, 5000]);
  });

  test('and one more column are not, nor is any of it decoded', async () => {
    const bomb = blackPng(8001, 5000);
    const before = process.memoryUsage();
    await expect(decodeImage(bomb, geometry())).rejects.toMatchObject({
      code: 'IMAGE_TOO_LARGE',
      message: expect.stringContaining('8001 × 5000'),
    });
    expect(process.memoryUsage().rss - before.rss).toBeLessThan(50_000_000);
  });

  test.each([
    [0xffff_ffff, 0xffff_ffff],
    [0x7fff_ffff, 1],
    [65_536, 65_536],
    [0, 10],
  ])('a header that claims %i × %i is refused', async (width, height) => {
    const png = blackPng(1, 1);
    png.writeUInt32BE(width, 16);
    png.writeUInt32BE(height, 20);
    png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
    await expect(decodeImage(png, geometry())).rejects.toMatchObject({
      code: expect.stringMatching(/IMAGE_TOO_LARGE|CORRUPT_IMAGE/),
    });
  });

  test('are counted in the first frame or page alone', async () => {
    const frames = await sharp({
      create: { width: 1000, height: 1000 * 50, channels: 3, background: 'red', pageHeight: 1000 },
    })
      .gif({ loop: 0 })
      .toBuffer();
    expect(await decodeImage(frames, geometry())).toMatchObject({ width: 1000, height: 1000 });
  });
});

describe('a picture of extreme proportions is placed', () => {
  const sizes = [
    [60_000, 1],
    [1, 1_000_000],
    [3, 700_001],
  ] as const;
  for (const fit of ['fill', 'contain', 'cover'] as const) {
    test.each(sizes)(`${fit}, %i × %i`, async (width, height) => {
      const { pixels } = await decodeImage(
        blackPng(width, height),
        geometry({ fit, resizeShort: 256, pad: 0 }),
      );
      expect(new Set(pixels)).toEqual(new Set([0]));
    });
  }
});

test('several pictures of the largest size at once take hardly more memory than one', async () => {
  const largest = await sharp({ create: { width: 8000, height: 5000, channels: 4, background: '#ff000080' } })
    .avif({ effort: 0, chromaSubsampling: '4:4:4', bitdepth: 12 })
    .toBuffer();
  const before = process.memoryUsage.rss();
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 2);
  try {
    await Promise.all(Array.from({ length: 3 }, () => decodeImage(largest, geometry())));
  } finally {
    clearInterval(watch);
  }
  // One takes 970 MB, and two side by side 1,900.
  expect(peak - before).toBeLessThan(1_400_000_000);
});
