import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedData } from '../shared-data.ts';

/** The classifiers of the shared data: files `models/<name>.onnx` with a manifest beside this module. */
export const imagenetClassifiers = [
  'mobilenet_v2_1.0_224',
  'mobilenet_v1_0.75_192',
  'mobilenet_v1_0.5_160_uint8',
] as const;

export type ImagenetClassifier = (typeof imagenetClassifiers)[number];

/**
 * Lays a classifier out as its manifest expects it, in a folder of its own: the shared data is read-only, and a manifest
 * reaches no file outside its folder. null where the shared data is absent.
 */
export function layOutImagenet(name: ImagenetClassifier): { manifest: string; remove: () => void } | null {
  const model = sharedData(`models/${name}.onnx`);
  const labels = sharedData('labels/imagenet1001.txt');
  if (model === null || labels === null) return null;
  const folder = mkdtempSync(join(tmpdir(), 'fovea-manifest-'));
  const manifest = join(folder, 'manifest.json');
  copyFileSync(join(import.meta.dirname, `${name}.json`), manifest);
  copyFileSync(model, join(folder, `${name}.onnx`));
  copyFileSync(labels, join(folder, 'imagenet1001.txt'));
  return { manifest, remove: () => rmSync(folder, { recursive: true }) };
}
