import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../../src/inference/images/decode.ts';
import { sharp } from '../../../src/inference/images/libvips.ts';
import type { InputGeometry } from '../../../src/inference/variant.ts';
import { sharedData } from '../../support/shared-data.ts';
import { coordinatePicture, geometry, meanColour, pngChunk } from './pictures.ts';

type Colour = [number, number, number];
const cover = { fit: 'cover', resizeShort: 256 } as const;
const letterbox = { fit: 'contain', width: 416, height: 416, align: 'top-left', pad: 114 } as const;

/** Mean colours of the four quarters of the input (rows first), as Pillow 13 resizes (bilinear), crops and pastes. */
const photographs: [string, Partial<InputGeometry>, Colour[]][] = [
  [
    'ILSVRC2012_val_00000023.JPEG',
    {},
    [
      [225.6, 234.7, 212.4],
      [215.5, 226.1, 199.9],
      [194.2, 210.0, 180.5],
      [190.5, 207.9, 173.6],
    ],
  ],
  [
    'ILSVRC2012_val_00000023.JPEG',
    cover,
    [
      [212.9, 227.6, 194.3],
      [200.7, 218.1, 177.1],
      [161.9, 187.3, 140.7],
      [157.6, 187.3, 129.1],
    ],
  ],
  [
    'ILSVRC2012_val_00000023.JPEG',
    letterbox,
    [
      [202.8, 218.7, 184.3],
      [202.0, 217.5, 182.1],
      [163.0, 165.0, 162.3],
      [153.9, 158.6, 150.5],
    ],
  ],
  [
    'ILSVRC2012_val_00018592.JPEG',
    {},
    [
      [197.6, 201.5, 221.4],
      [200.9, 206.1, 225.6],
      [156.5, 152.3, 162.1],
      [162.4, 160.3, 170.2],
    ],
  ],
  [
    'ILSVRC2012_val_00018592.JPEG',
    cover,
    [
      [190.4, 193.9, 212.1],
      [196.5, 202.5, 222.2],
      [138.3, 128.8, 135.1],
      [149.1, 142.0, 148.8],
    ],
  ],
  [
    'ILSVRC2012_val_00018592.JPEG',
    letterbox,
    [
      [198.4, 202.8, 222.5],
      [143.1, 144.8, 151.3],
      [155.1, 149.4, 158.1],
      [133.4, 134.8, 139.3],
    ],
  ],
  [
    'cat_720p.jpg',
    {},
    [
      [189.9, 117.3, 91.9],
      [163.3, 128.3, 98.2],
      [127.7, 67.8, 56.2],
      [146.2, 99.2, 77.7],
    ],
  ],
  [
    'cat_720p.jpg',
    cover,
    [
      [185.3, 146.1, 118.8],
      [179.9, 134.8, 101.5],
      [121.6, 72.8, 55.3],
      [164.2, 103.9, 77.4],
    ],
  ],
  [
    'cat_720p.jpg',
    letterbox,
    [
      [163.6, 96.3, 77.0],
      [152.8, 115.6, 88.6],
      [114.8, 107.6, 106.1],
      [121.0, 112.1, 110.1],
    ],
  ],
  [
    'rose.jpg',
    cover,
    [
      [186.4, 87.7, 77.7],
      [207.2, 95.3, 83.4],
      [159.4, 80.7, 64.1],
      [160.9, 63.7, 60.4],
    ],
  ],
];

describe('a picture smaller than the input', () => {
  const ramp = Buffer.from([0, 40, 80, 120, 160, 200].flatMap((level) => [level, level, level]));
  const row = (pixels: Uint8Array, width: number) => Array.from({ length: width }, (_, x) => pixels[x * 3]);

  /** As Pillow 13 enlarges it (bilinear). */
  test.each([
    [12, [0, 10, 30, 50, 70, 90, 110, 130, 150, 170, 190, 200]],
    [9, [0, 20, 47, 73, 100, 127, 153, 180, 200]],
  ])('is enlarged to %i columns about its pixels’ centres, its edges unfaded', async (width, expected) => {
    const picture = sharp(Buffer.concat([ramp, ramp]), { raw: { width: 6, height: 2, channels: 3 } });
    const png = await picture.png().toBuffer();
    const { pixels } = await decodeImage(png, geometry({ width, height: 5 }));
    expect(row(pixels, width)).toEqual(expected);
    expect(row(pixels.subarray(-width * 3), width)).toEqual(expected);
    const cropped = await decodeImage(png, geometry({ width: 4, height: 4, fit: 'cover' }));
    expect(row(cropped.pixels, 4)).toEqual([70, 90, 110, 130]);
  });

  test('may be enlarged on one side and reduced on the other', async () => {
    const tall = sharp(Buffer.concat(Array(40).fill(ramp)), { raw: { width: 6, height: 40, channels: 3 } });
    const { pixels } = await decodeImage(await tall.png().toBuffer(), geometry({ width: 12, height: 8 }));
    expect(row(pixels, 12)).toEqual([0, 10, 30, 50, 70, 90, 110, 130, 150, 170, 190, 200]);
  });
});

const photos = sharedData('photos');
describe.skipIf(photos === null)('photographs are placed as Pillow would (needs shared data: photos)', () => {
  test.each(photographs)('%s, %o', async (file, overrides, expected) => {
    const input = geometry(overrides);
    const { pixels } = await decodeImage(readFileSync(`${photos}/${file}`), input);
    const [width, height] = [input.width / 2, input.height / 2];
    const corners = [
      [0, 0],
      [width, 0],
      [0, height],
      [width, height],
    ] as const;
    corners.forEach(([left, top], quarter) => {
      const mean = meanColour({ ...input, pixels }, { left, top, width, height });
      mean.forEach((value, channel) => {
        expect(Math.abs(value - expected[quarter]![channel]!)).toBeLessThan(0.5);
      });
    });
  });
});

const exact = sharedData('expected/exact');
describe.skipIf(exact === null)('pictures of the input’s size (needs shared data: expected/exact)', () => {
  test.each(exact === null ? [] : readdirSync(exact))('%s comes through byte for byte', async (file) => {
    const bytes = readFileSync(`${exact}/${file}`);
    const { data, info } = await sharp(bytes, { ignoreIcc: true })
      .raw()
      .toBuffer({ resolveWithObject: true });
    for (const fit of ['fill', 'contain', 'cover'] as const) {
      const { pixels } = await decodeImage(
        bytes,
        geometry({ width: info.width, height: info.height, fit, pad: 9 }),
      );
      expect(Buffer.compare(pixels, data)).toBe(0);
    }
  });
});

describe('colours', () => {
  const size = { width: 40, height: 30 };

  test('transparent pixels keep their colour, resized or not', async () => {
    const clear = await sharp({
      create: { ...size, channels: 4, background: { r: 200, g: 100, b: 50, alpha: 0 } },
    })
      .webp({ lossless: true, exact: true })
      .toBuffer();
    for (const input of [size, { width: 20, height: 15 }, { width: 80, height: 60 }]) {
      const { pixels } = await decodeImage(clear, geometry(input));
      expect([...pixels.subarray(0, 3), ...pixels.subarray(-3)]).toEqual([200, 100, 50, 200, 100, 50]);
    }
  });

  test.each([1, 2, 3, 4] as const)('%i channels of 16 bits become three of 8', async (channels) => {
    const samples = new Uint16Array(size.width * size.height * channels).fill(0x8180);
    const png = await sharp(samples, { raw: { ...size, channels } })
      .toColourspace(channels < 3 ? 'grey16' : 'rgb16')
      .png()
      .toBuffer();
    const { pixels } = await decodeImage(png, geometry({ ...size, fit: 'contain' }));
    expect(new Set(pixels)).toEqual(new Set([0x81]));
  });

  test('the letterbox is the grey level asked for, whatever the picture’s own colours', async () => {
    const { image } = coordinatePicture(40, 20);
    const pictures = [
      image.clone().jpeg().toBuffer(),
      image.clone().greyscale().png().toBuffer(),
      image.clone().toColourspace('rgb16').png().toBuffer(),
      image.clone().toColourspace('cmyk').jpeg().toBuffer(),
      image.clone().ensureAlpha(0.5).png().toBuffer(),
    ];
    for (const picture of await Promise.all(pictures)) {
      const input = geometry({ width: 64, height: 64, fit: 'contain', pad: 114 });
      const { pixels } = await decodeImage(picture, input);
      for (const rows of [pixels.subarray(0, 64 * 3 * 16), pixels.subarray(64 * 3 * 48)]) {
        expect(new Set(rows)).toEqual(new Set([114]));
      }
    }
  });
});

describe('EXIF orientation', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('%i is undone before the picture is placed', async (orientation) => {
    const { pixels, image } = coordinatePicture(12, 8);
    // Applying the inverse orientation gives the file as a camera held that way writes it.
    const inverse = { 6: 8, 8: 6 }[orientation] ?? orientation;
    const tagged = await image
      .clone()
      .withMetadata({ orientation: inverse })
      .tiff({ compression: 'deflate' })
      .toBuffer();
    const stored = sharp(tagged, { ignoreIcc: true }).autoOrient();
    const file = await sharp(await stored.png().toBuffer())
      .withMetadata({ orientation })
      .png()
      .toBuffer();
    const decoded = await decodeImage(file, geometry({ width: 12, height: 8 }));
    expect([decoded.width, decoded.height]).toEqual([12, 8]);
    expect(Buffer.compare(decoded.pixels, pixels)).toBe(0);
    const cropped = await decodeImage(file, geometry({ width: 6, height: 8, fit: 'cover' }));
    expect([cropped.pixels[0], cropped.pixels.at(-3)]).toEqual([3, 8]);
  });

  /** As ImageMagick wrote it before PNG had a chunk for it: a name, a length and hexadecimal lines. */
  async function pngWithRawProfile(hex: string) {
    const { pixels, image } = coordinatePicture(12, 8);
    const png = await image.png().toBuffer();
    const text = pngChunk(
      'tEXt',
      Buffer.from(`Raw profile type exif\0\nexif\n      ${hex.length / 2}\n${hex}\n`),
    );
    return { pixels, file: Buffer.concat([png.subarray(0, 33), text, png.subarray(33)]) };
  }

  test('is read from a PNG that keeps it as text', async () => {
    const upsideDown = '45786966000049492a0008000000010012010300010000000300000000000000';
    const { pixels, file } = await pngWithRawProfile(upsideDown);
    const decoded = await decodeImage(file, geometry({ width: 12, height: 8 }));
    expect([...decoded.pixels.subarray(0, 3)]).toEqual([...pixels.subarray(-3)]);
  });

  test.each(['', '00', '49492a00', '4d4d002a', '49492a00ffffffff', '45786966000049492a0008000000ffff'])(
    'is none where that text says %o',
    async (hex) => {
      const { pixels, file } = await pngWithRawProfile(hex);
      const decoded = await decodeImage(file, geometry({ width: 12, height: 8 }));
      expect(Buffer.compare(decoded.pixels, pixels)).toBe(0);
    },
  );
});
