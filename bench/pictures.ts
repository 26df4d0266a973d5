import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { scene } from '../models/shapes/generator/scene.ts';

const READ = new Set(['.jpg', '.jpeg', '.png', '.webp']);

/** What cameras' pictures are made smaller to. */
export const USUAL_SIZE = { width: 500, height: 375 };

/**
 * Fills `folder` with JPEGs of one size, no two with the same pixels: the photographs of `source`, each turned a
 * little brighter or darker at every use, or generated scenes.
 */
export async function writePictures(
  folder: string,
  count: number,
  source: string | null,
  { width, height } = USUAL_SIZE,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const photographs =
    source === null
      ? []
      : readdirSync(source)
          .filter((name) => READ.has(extname(name).toLowerCase()))
          .map((name) => readFileSync(join(source, name)));
  for (let index = 0; index < count; index++) {
    const brightness = 0.8 + (0.4 * index) / count;
    const photograph = photographs[index % photographs.length];
    const picture = photograph
      ? sharp(photograph).resize(width, height, { fit: 'cover' })
      : generated(index, width, height);
    const jpeg = await picture.modulate({ brightness }).jpeg({ quality: 85 }).toBuffer();
    writeFileSync(join(folder, `${String(index).padStart(5, '0')}.jpg`), jpeg);
  }
}

function generated(seed: number, width: number, height: number) {
  const { pixels } = scene(seed, { width, height, objects: 4 });
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}
