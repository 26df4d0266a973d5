import { describe, expect, test } from 'vitest';
import { placeImage } from '../../../src/inference/images/geometry.ts';
import { geometry } from './pictures.ts';

describe('cover is torchvision’s Resize and CenterCrop', () => {
  /** Resized size and crop corner, as torchvision 0.2x computes them for 256 and 224. */
  test.each([
    [500, 375, 341, 256, 58, 16],
    [375, 500, 256, 341, 16, 58],
    [709, 510, 355, 256, 66, 16],
    [333, 500, 256, 384, 16, 80],
    [1280, 720, 455, 256, 116, 16],
    [320, 241, 339, 256, 58, 16],
    [224, 224, 256, 256, 16, 16],
    [1, 1, 256, 256, 16, 16],
  ])('%i × %i', (width, height, resizedWidth, resizedHeight, cropLeft, cropTop) => {
    const placed = placeImage({ width, height }, geometry({ fit: 'cover', resizeShort: 256 }));
    expect(placed).toMatchObject({
      resized: { width: resizedWidth, height: resizedHeight },
      cropLeft,
      cropTop,
      padLeft: 0,
      padTop: 0,
    });
  });

  test.each([
    ['without resizeShort', { width: 500, height: 375 }, { width: 224, height: 224 }, null],
    ['with a crop that is not square', { width: 500, height: 375 }, { width: 100, height: 224 }, null],
    ['with a wide crop', { width: 375, height: 500 }, { width: 320, height: 100 }, 100],
    ['with a crop larger than resizeShort', { width: 500, height: 375 }, { width: 224, height: 224 }, 200],
  ])('%s it covers the crop, one side exactly', (_name, original, crop, resizeShort) => {
    const { resized } = placeImage(original, geometry({ ...crop, fit: 'cover', resizeShort }));
    expect(resized.width).toBeGreaterThanOrEqual(crop.width);
    expect(resized.height).toBeGreaterThanOrEqual(crop.height);
    expect([resized.width - crop.width, resized.height - crop.height]).toContain(0);
    expect(resized.width / resized.height).toBeCloseTo(original.width / original.height, 1);
  });
});

describe('contain', () => {
  test.each([
    [500, 375, 416, 312, 0, 52],
    [375, 500, 312, 416, 52, 0],
    [1352, 900, 416, 277, 0, 69],
    [416, 416, 416, 416, 0, 0],
    [100, 50, 416, 208, 0, 104],
    [10_000, 1, 416, 1, 0, 207],
  ])('%i × %i in the centre', (width, height, resizedWidth, resizedHeight, padLeft, padTop) => {
    const input = { width: 416, height: 416, fit: 'contain' } as const;
    expect(placeImage({ width, height }, geometry(input))).toMatchObject({
      resized: { width: resizedWidth, height: resizedHeight },
      padLeft,
      padTop,
      cropLeft: 0,
      cropTop: 0,
    });
    expect(placeImage({ width, height }, geometry({ ...input, align: 'top-left' }))).toMatchObject({
      resized: { width: resizedWidth, height: resizedHeight },
      padLeft: 0,
      padTop: 0,
    });
  });
});

test('fill stretches', () => {
  expect(placeImage({ width: 500, height: 375 }, geometry({ width: 320, height: 240 }))).toMatchObject({
    resized: { width: 320, height: 240 },
    scaleX: 320 / 500,
    scaleY: 240 / 375,
    offsetX: 0,
    offsetY: 0,
  });
});

test.each(['cover', 'contain', 'fill'] as const)(
  '%s maps the original’s centre to the input’s centre',
  (fit) => {
    const original = { width: 500, height: 375 };
    const { scaleX, scaleY, offsetX, offsetY } = placeImage(original, geometry({ fit, resizeShort: 256 }));
    expect(Math.abs(250 * scaleX + offsetX - 112)).toBeLessThanOrEqual(0.5);
    expect(Math.abs(187.5 * scaleY + offsetY - 112)).toBeLessThanOrEqual(0.5);
  },
);
