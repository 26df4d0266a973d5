import { expect, it } from 'vitest';
import { DeadlyImages } from '../../../src/inference/pool/deadly-images.ts';

it('knows an image by its pixels and its variant, for five minutes', () => {
  let now = 0;
  const images = new DeadlyImages({ now: () => now, elapsed: () => now });
  const pixels = (grey: number) => new Uint8Array(12).fill(grey);
  expect(images.has('a', pixels(255))).toBe(false);
  images.add('a', pixels(255));
  expect(images.has('a', pixels(255))).toBe(true);
  expect(images.has('a', pixels(254))).toBe(false);
  expect(images.has('b', pixels(255))).toBe(false);
  now += 4 * 60_000;
  images.add('b', pixels(255));
  expect(images.has('a', pixels(255))).toBe(true);
  now += 60_000;
  expect(images.has('a', pixels(255))).toBe(false);
  expect(images.has('b', pixels(255))).toBe(true);
});

it('knows an image once two workers broke under it alone, within five minutes of each other', () => {
  let now = 0;
  const images = new DeadlyImages({ now: () => now, elapsed: () => now });
  const [white, grey] = [new Uint8Array(12).fill(255), new Uint8Array(12).fill(128)];
  expect(images.broke('a', white)).toBe(false);
  expect(images.has('a', white)).toBe(false);
  now += 5 * 60_000;
  expect(images.broke('a', white)).toBe(false);
  expect(images.broke('a', grey)).toBe(false);
  expect(images.broke('b', white)).toBe(false);
  images.answered('a', grey);
  expect(images.broke('a', grey)).toBe(false);
  expect(images.broke('a', white)).toBe(true);
  expect(images.has('a', white)).toBe(true);
  expect(images.has('a', grey)).toBe(false);
});
