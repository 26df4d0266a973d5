import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { scene } from '../models/shapes/generator/scene.ts';

const READ = new Set(['.jpg', '.jpeg', '.png', '.webp']);

/** What cameras' pictures are made smaller to. */
export const USUAL_SIZE = { width: 500, height: 375 };

/** A scene takes a tenth of a second to draw. */
const SCENES = 8;

/**
 * Fills `folder` with JPEGs of one size, no two with the same pixels: the photographs of `source`, or some drawn scenes, each
 * turned a little brighter or darker at every use.
 */
export async function writePictures(
  folder: string,
  count: number,
  source: string | null,
  size = USUAL_SIZE,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const originals = source === null ? drawn(Math.min(SCENES, count), size) : photographs(source, size);
  for (let index = 0; index < count; index++) {
    const brightness = 0.8 + (0.4 * index) / count;
    const original = originals[index % originals.length]!;
    const jpeg = await original.clone().modulate({ brightness }).jpeg({ quality: 85 }).toBuffer();
    writeFileSync(join(folder, `${String(index).padStart(5, '0')}.jpg`), jpeg);
  }
}

type Size = typeof USUAL_SIZE;

function photographs(folder: string, { width, height }: Size): Sharp[] {
  const names = readdirSync(folder).filter((name) => READ.has(extname(name).toLowerCase()));
  if (names.length === 0) throw new Error(`${folder} has no photograph: wanted ${[...READ].join(', ')}.`);
  return names.map((name) => sharp(readFileSync(join(folder, name))).resize(width, height, { fit: 'cover' }));
}

function drawn(count: number, { width, height }: Size): Sharp[] {
  return Array.from({ length: count }, (_, seed) => {
    const { pixels } = scene(seed, { width, height, objects: 4 });
    return sharp(pixels, { raw: { width, height, channels: 3 } });
  });
}
