import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServedModel } from '../../src/models/registry.ts';
import { importManifest, type Target } from './imported-models.ts';
import { sharedData } from './shared-data.ts';

/** How each TensorFlow.js model of the shared data is fed and read, and what its classes are called. */
const models = {
  centernet: {
    task: 'DETECT',
    input: { width: 512, height: 512 },
    output: {
      ...{ kind: 'detections', tensor: 'tower_0/detections', normalized: false },
      columns: ['x1', 'y1', 'x2', 'y2', 'score', 'class'],
    },
    labels: 'labels/coco80.txt',
  },
  meet: {
    task: 'SEGMENT',
    input: { width: 256, height: 144, scale: 1 / 255 },
    output: { kind: 'mask-logits', layout: 'NHWC' },
    labels: ['background', 'person'],
  },
  emotion: {
    task: 'CLASSIFY',
    input: { width: 64, height: 64, color: 'GRAY', scale: 1 / 255, mean: 0.5, std: 0.5 },
    output: { kind: 'probabilities' },
    labels: ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'],
  },
} as const;

export type TfjsName = keyof typeof models;
export const tfjsModels = Object.keys(models) as TfjsName[];

/** Imports a TensorFlow.js model of the shared data, which must be there. */
export async function importTfjs(name: TfjsName, target: Target): Promise<ServedModel> {
  const { labels, ...rest } = models[name];
  const folder = mkdtempSync(join(tmpdir(), 'fovea-manifest-'));
  try {
    for (const file of [`${name}.json`, `${name}.bin`])
      copyFileSync(sharedData(`models-tfjs/${name}/${file}`)!, join(folder, file));
    if (typeof labels === 'string') copyFileSync(sharedData(labels)!, join(folder, 'labels.txt'));
    else writeFileSync(join(folder, 'labels.txt'), labels.join('\n'));
    const manifest = join(folder, 'manifest.json');
    const described = { format: 'tfjs-graph', file: `${name}.json`, labels: 'labels.txt', ...rest };
    writeFileSync(manifest, JSON.stringify({ name, version: 1, ...described }));
    return await importManifest(manifest, target);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
