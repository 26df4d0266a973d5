/**
 * Writes what the detector and the segmenter are trained on into the folder named by the first argument, for the names
 * `crowdedTraining` and `crowdedValidation`, a picture's part after the other's:
 * - `<name>.pixels`: 128 · 128 · 3 bytes, RGB, letterboxed as the manifests say; shrunk by a kernel chosen at random, so
 *   that the models do not lean on how one server happens to resize.
 * - `<name>.masks`: 128 · 128 bytes: what is seen there, 0 for the background, else 1 + the index of its kind.
 * - `<name>.boxes`: five objects of five float32 each: class, and left, top, width, height in pixels of the letterbox; the
 *   class −1 says that there is no such object.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { type Placement, placeImage } from '../../../src/inference/images/geometry.ts';
import { classOf } from '../generator/classes.ts';
import { kinds } from '../generator/kinds.ts';
import { randomFrom } from '../generator/random.ts';
import type { Scene } from '../generator/scene.ts';
import { letterbox } from './manifests.ts';
import { crowdedPicture, mostObjects } from './picture.ts';
import { seeds } from './seeds.ts';

const { width: side, pad } = letterbox;
const atOnce = 32;
const kernels = ['linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3'] as const;

const folder = process.argv[2];
if (folder === undefined) throw new Error('write-crowded-data-set.ts expects the folder to write into.');
sharp.concurrency(1);
await write('crowdedTraining');
await write('crowdedValidation');

async function write(name: 'crowdedTraining' | 'crowdedValidation'): Promise<void> {
  const parts = ['pixels', 'masks', 'boxes'] as const;
  const files = parts.map((part) => createWriteStream(join(folder as string, `${name}.${part}`)));
  const { from, count } = seeds[name];
  for (let first = from; first < from + count; first += atOnce) {
    const length = Math.min(atOnce, from + count - first);
    const records = await Promise.all(Array.from({ length }, (_, index) => record(first + index)));
    for (const [index, part] of parts.entries()) {
      const bytes = Buffer.concat(records.map((each) => each[part]));
      if (!files[index]!.write(bytes)) await once(files[index]!, 'drain');
    }
  }
  for (const file of files) {
    file.end();
    await once(file, 'finish');
  }
}

async function record(seed: number): Promise<{ pixels: Buffer; masks: Buffer; boxes: Buffer }> {
  const { bytes, scene } = await crowdedPicture(seed);
  const placement = placeImage(scene, { ...letterbox, resizeShort: null });
  const { resized, padLeft, padTop } = placement;
  const kernel = kernels[randomFrom(seed).below(kernels.length)]!;
  const pixels = await sharp(bytes)
    .resize(resized.width, resized.height, { fit: 'fill', kernel })
    .extend({
      left: padLeft,
      top: padTop,
      right: side - resized.width - padLeft,
      bottom: side - resized.height - padTop,
      background: { r: pad, g: pad, b: pad },
    })
    .removeAlpha()
    .raw()
    .toBuffer();
  return { pixels, masks: masksOf(scene, placement), boxes: boxesOf(scene, placement) };
}

/** The nearest pixel of the scene for each of the letterbox. */
function masksOf({ width, height, objects }: Scene, placement: Placement): Buffer {
  const { resized, padLeft, padTop, scaleX, scaleY } = placement;
  const masks = Buffer.alloc(side * side);
  for (const { kind, mask } of objects) {
    for (let y = 0; y < resized.height; y++) {
      const row = Math.min(Math.floor((y + 0.5) / scaleY), height - 1) * width;
      for (let x = 0; x < resized.width; x++) {
        const column = Math.min(Math.floor((x + 0.5) / scaleX), width - 1);
        if (mask[row + column] === 1) masks[(y + padTop) * side + x + padLeft] = 1 + kinds.indexOf(kind);
      }
    }
  }
  return masks;
}

function boxesOf({ objects }: Scene, { scaleX, scaleY, offsetX, offsetY }: Placement): Buffer {
  const boxes = new Float32Array(mostObjects * 5).fill(-1);
  for (const [index, object] of objects.entries()) {
    const { x, y, width, height } = object.box;
    const box = [x * scaleX + offsetX, y * scaleY + offsetY, width * scaleX, height * scaleY];
    boxes.set([classOf(object), ...box], index * 5);
  }
  return Buffer.from(boxes.buffer);
}
