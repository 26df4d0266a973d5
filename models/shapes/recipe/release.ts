/** Writes what is shipped beside each model file: the labels, the manifest with the file's hash, and the examples. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { scene } from '../generator/scene.ts';
import { examples } from './examples.ts';
import { models } from './manifests.ts';

const root = join(import.meta.dirname, '../..');

for (const { name, task, description, input, output, labels } of models) {
  const file = `${name}.onnx`;
  const manifest = {
    name,
    version: 1,
    task,
    format: 'onnx',
    file,
    sha256: createHash('sha256')
      .update(readFileSync(join(root, name, file)))
      .digest('hex'),
    license: 'Apache-2.0',
    description,
    input,
    output,
    labels: 'labels.txt',
    unitsPerImage: 1,
  };
  writeFileSync(join(root, name, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(join(root, name, 'labels.txt'), `${labels.join('\n')}\n`);
}

for (const { model, name, seed, quality, ...options } of examples) {
  const { pixels, width, height } = scene(seed, options);
  const raw = sharp(pixels, { raw: { width, height, channels: 3 } });
  mkdirSync(join(root, model, 'examples'), { recursive: true });
  await raw.jpeg({ quality, mozjpeg: true }).toFile(join(root, model, 'examples', `${name}.jpg`));
}
