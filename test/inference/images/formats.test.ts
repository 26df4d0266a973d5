import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../../src/inference/images/decode.ts';
import { type Colour, decodedFormats, refusedFormats } from '../../support/picture-formats.ts';
import { sharedData } from '../../support/shared-data.ts';
import { geometry, meanColour, meanDifference, readAtOwnSize } from './pictures.ts';

const folder = sharedData('formats');
const read = (file: string) => readFileSync(`${folder}/${file}`);

describe.skipIf(folder === null)('files of many kinds (needs shared data: formats)', () => {
  test('none is forgotten here', () => {
    expect([...decodedFormats.map(([file]) => file), ...refusedFormats].sort()).toEqual(
      readdirSync(folder!).sort(),
    );
  });

  test.each(refusedFormats)('%s is not read', async (file) => {
    await expect(decodeImage(read(file), geometry())).rejects.toMatchObject({ code: 'UNSUPPORTED_FORMAT' });
  });

  test.each(decodedFormats)('%s', async (file, width, height, mean, topLeft) => {
    const image = await readAtOwnSize(read(file));
    expect([image.width, image.height]).toEqual([width, height]);
    if (mean !== null) expectColour(meanColour(image), mean);
    const quarter = { width: Math.floor(width / 2), height: Math.floor(height / 2) };
    if (topLeft !== null) expectColour(meanColour(image, quarter), topLeft);
  });

  /** All of one scene; those but the first carry a colour profile that darkens them when it is ignored, as Pillow does. */
  test.each([
    ['Landscape', [1, 3, 4, 6, 7]],
    ['Portrait', [1, 2, 4, 5, 7, 8]],
  ])('%s is the same picture in every EXIF orientation', async (scene, orientations) => {
    const pictures = await Promise.all(
      orientations.map((orientation) => readAtOwnSize(read(`sharp_${scene}_${orientation}.jpg`))),
    );
    const [plain, profiled, ...others] = pictures;
    expect(meanDifference(plain!, profiled!)).toBeLessThan(25);
    for (const other of others) expect(meanDifference(profiled!, other)).toBeLessThan(8);
  });

  test('CMYK becomes the RGB it was made from', async () => {
    const cmyk = await readAtOwnSize(read('pillow_pil_sample_cmyk.jpg'));
    const rgb = await readAtOwnSize(read('pillow_pil_sample_rgb.jpg'));
    expect(meanDifference(cmyk, rgb)).toBeLessThan(8);
  });

  test('CMYK without a profile is not inverted', async () => {
    const image = await readAtOwnSize(read('sharp_Channel_digital_image_CMYK_color_no_profile.jpg'));
    // Pillow converts without a profile, so the two agree only roughly.
    expectColour(meanColour(image), [109.0, 132.1, 109.6], 16);
  });
});

/** Two AVIF decoders may round chroma differently; every other format agrees to the rounding here. */
function expectColour(actual: Colour, expected: Colour, tolerance = 0.6): void {
  const worst = Math.max(...actual.map((channel, index) => Math.abs(channel - expected[index]!)));
  expect(worst, `${actual} against ${expected}`).toBeLessThan(tolerance);
}
