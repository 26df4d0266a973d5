/** Writes what is shipped beside `shapes.onnx`: the labels, the manifest with the file's hash, and the examples. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { labels } from '../generator/classes.ts';
import { scene } from '../generator/scene.ts';
import { examples } from './examples.ts';

const folder = join(import.meta.dirname, '..');
const model = readFileSync(join(folder, 'shapes.onnx'));

const manifest = {
  name: 'shapes',
  version: 1,
  task: 'CLASSIFY',
  format: 'onnx',
  file: 'shapes.onnx',
  sha256: createHash('sha256').update(model).digest('hex'),
  license: 'Apache-2.0',
  description:
    'Names the shape and the colour of the one coloured object in a picture: 6 shapes in 6 colours.',
  input: {
    layout: 'NCHW',
    width: 64,
    height: 64,
    fit: 'fill',
    color: 'RGB',
    scale: 1 / 255,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
  },
  output: { kind: 'logits' },
  labels: 'labels.txt',
  unitsPerImage: 1,
};

writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(join(folder, 'labels.txt'), `${labels.join('\n')}\n`);
for (const { name, seed, width, height, quality } of examples) {
  const { pixels } = scene(seed, { width, height });
  const raw = sharp(pixels, { raw: { width, height, channels: 3 } });
  await raw.jpeg({ quality, mozjpeg: true }).toFile(join(folder, 'examples', `${name}.jpg`));
}
