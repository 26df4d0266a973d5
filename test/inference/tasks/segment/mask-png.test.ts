import { expect, it } from 'vitest';
import { sharp } from '../../../../src/inference/images/libvips.ts';
import { maskPng } from '../../../../src/inference/tasks/segment/mask-png.ts';
import { RleWriter } from '../../../../src/inference/tasks/segment/rle.ts';

it.each([
  [1, 1],
  [8, 3],
  [9, 5],
  [37, 61],
  [640, 480],
])('a mask of %d × %d pixels is what the PNG shows', async (width, height) => {
  const inside = (x: number, y: number) => (x * 7 + y * y) % 11 < 4;
  const writer = new RleWriter();
  const shown = Buffer.alloc(width * height);
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (!inside(x, y)) continue;
      shown[y * width + x] = 255;
      writer.add(x * height + y, x * height + y + 1);
    }
  }
  const png = maskPng(writer.finish(width * height), { width, height });
  expect(await sharp(png).metadata()).toMatchObject({ format: 'png', width, height, bitsPerSample: 1 });
  const pixels = await sharp(png).extractChannel(0).raw().toBuffer();
  expect(pixels.equals(shown)).toBe(true);
});

it('what is no mask of the size is refused', () => {
  expect(() => maskPng('8', { width: 3, height: 3 })).toThrow(RangeError);
});
