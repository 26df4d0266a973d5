import sharp from 'sharp';
import { expect, test } from 'vitest';
import { readPlainJpeg } from '../../../src/inference/images/jpeg-header.ts';

const grey = { create: { width: 37, height: 21, channels: 3, background: '#808080' } } as const;

test.each([
  ['baseline', sharp(grey).jpeg(), false],
  ['progressive', sharp(grey).jpeg({ progressive: true }), false],
  ['of one component', sharp(grey).toColourspace('b-w').jpeg(), true],
] as const)('a JPEG that is %s tells its size', async (_, picture, isGrey) => {
  expect(readPlainJpeg(await picture.toBuffer())).toEqual({ size: { width: 37, height: 21 }, isGrey });
});

test('what may be turned, or is in CMYK, is left to libvips', async () => {
  expect(readPlainJpeg(await sharp(grey).withMetadata({ orientation: 6 }).jpeg().toBuffer())).toBeNull();
  expect(readPlainJpeg(await sharp(grey).toColourspace('cmyk').jpeg().toBuffer())).toBeNull();
});

test('a header cut off or spoilt at any byte is read to its end or left to libvips, and never read past it', async () => {
  const jpeg = await sharp(grey).jpeg().toBuffer();
  for (let length = 0; length < 400; length++) {
    const cut = readPlainJpeg(jpeg.subarray(0, length));
    if (cut !== null) expect(cut.size).toEqual({ width: 37, height: 21 });
    const spoilt = Buffer.from(jpeg);
    spoilt[length] = 0;
    expect(() => readPlainJpeg(spoilt)).not.toThrow();
  }
});

test('what a reader may pass over in more ways than one is left to libvips: a hidden size, padding, endless segments', async () => {
  const jpeg = await sharp(grey).jpeg().toBuffer();
  const [start, rest] = [jpeg.subarray(0, 2), jpeg.subarray(2)];
  const behind = (...bytes: number[]) => readPlainJpeg(Buffer.concat([start, Buffer.from(bytes), rest]));
  expect(behind(0xff, 0xfe, 0, 2)).not.toBeNull();
  // No length follows these: a marker of its own, a restart, a fill byte, and a length that does not count itself.
  for (const bytes of [[0xff, 0x01], [0xff, 0xd0], [0xff], [0xff, 0xfe, 0, 1]])
    expect(behind(...bytes)).toBeNull();
  expect(behind(...Array.from({ length: 100 }, () => [0xff, 0xfe, 0, 2]).flat())).toBeNull();
});
