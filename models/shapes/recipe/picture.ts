import sharp, { type Sharp } from 'sharp';
import { classOf } from '../generator/classes.ts';
import { randomFrom } from '../generator/random.ts';
import { scene } from '../generator/scene.ts';

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
  const { pixels, objects } = scene(seed, { width, height });
  const raw = sharp(pixels, { raw: { width, height, channels: 3 } });
  const encoded: Sharp = random.chance(0.7)
    ? raw.jpeg({ quality: 40 + random.below(56) })
    : raw.png({ compressionLevel: 1 });
  return { bytes: await encoded.toBuffer(), column: classOf(objects[0]!) };
}
