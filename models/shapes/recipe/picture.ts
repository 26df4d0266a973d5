import sharp, { type Sharp } from 'sharp';
import { classOf } from '../generator/classes.ts';
import { type Random, randomFrom } from '../generator/random.ts';
import { type Scene, scene } from '../generator/scene.ts';

/** A picture as a client would send it, and the column of its class. */
export interface Picture {
  readonly bytes: Uint8Array;
  readonly column: number;
}

/** A scene of one object, of any size and shape a small photograph has, as a JPEG of any quality or a PNG. */
export async function picture(seed: number): Promise<Picture> {
  const random = randomFrom(~seed);
  const width = 72 + random.below(160);
  const height = Math.round(width * random.between(0.75, 1.33));
  const drawn = scene(seed, { width, height });
  return { bytes: await encoded(drawn, random), column: classOf(drawn.objects[0]!) };
}

/** A picture of several objects as a client would send it, and the scene it shows. */
export interface CrowdedPicture {
  readonly bytes: Uint8Array;
  readonly scene: Scene;
}

export const mostObjects = 5;

/** One to five objects, some partly behind others, at sizes that can be told apart at 128 pixels. */
export async function crowdedPicture(seed: number): Promise<CrowdedPicture> {
  const random = randomFrom(~seed);
  const width = 128 + random.below(192);
  const height = Math.round(width * random.between(0.75, 1.33));
  const objects = 1 + random.below(mostObjects);
  const drawn = scene(seed, { width, height, objects, radius: [0.12, 0.3] });
  return { bytes: await encoded(drawn, random), scene: drawn };
}

function encoded({ pixels, width, height }: Scene, random: Random): Promise<Uint8Array> {
  const raw = sharp(pixels, { raw: { width, height, channels: 3 } });
  const file: Sharp = random.chance(0.7)
    ? raw.jpeg({ quality: 40 + random.below(56) })
    : raw.png({ compressionLevel: 1 });
  return file.toBuffer();
}
