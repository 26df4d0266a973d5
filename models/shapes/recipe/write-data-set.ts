/**
 * Writes `training.bin` and `validation.bin` into the folder named by the first argument. A record is the class's column
 * (one byte) and 64 · 64 · 3 bytes of RGB pixels. Pictures are shrunk by a kernel chosen at random, so that the model
 * does not lean on how one server happens to resize.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { randomFrom } from '../generator/random.ts';
import { picture } from './picture.ts';
import { seeds } from './seeds.ts';

const side = 64;
const atOnce = 32;
const kernels = ['linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3'] as const;

const folder = process.argv[2];
if (folder === undefined) throw new Error('write-data-set.ts expects the folder to write into.');
sharp.concurrency(1);
await write('training');
await write('validation');

async function write(name: 'training' | 'validation'): Promise<void> {
  const file = createWriteStream(join(folder as string, `${name}.bin`));
  const { from, count } = seeds[name];
  for (let first = from; first < from + count; first += atOnce) {
    const length = Math.min(atOnce, from + count - first);
    const records = await Promise.all(Array.from({ length }, (_, index) => record(first + index)));
    if (!file.write(Buffer.concat(records))) await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

async function record(seed: number): Promise<Buffer> {
  const { bytes, column } = await picture(seed);
  const kernel = kernels[randomFrom(seed).below(kernels.length)]!;
  const pixels = await sharp(bytes)
    .resize(side, side, { fit: 'fill', kernel })
    .removeAlpha()
    .raw()
    .toBuffer();
  return Buffer.concat([Buffer.of(column), pixels]);
}
