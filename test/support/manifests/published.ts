import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedData } from '../shared-data.ts';

/** The models of the shared data by task: files `models/<name>.onnx`, each with a manifest beside this module. */
export const publishedClassifiers = [
  'mobilenet_v2_1.0_224',
  'mobilenet_v1_0.75_192',
  'mobilenet_v1_0.5_160_uint8',
] as const;
export const publishedDetectors = ['yolox_nano_416', 'ultraface_rfb_320'] as const;
export const publishedSegmenters = ['deeplabv3_mnv2_voc_513'] as const;

/** A detector whose head is none of those that a manifest can name; the manifest beside this module calls it the nearest. */
export const oddDetector = 'fastestdet_352';

/**
 * Lays a model out as its manifest expects it, in a folder of its own: the shared data is read-only, and a manifest
 * reaches no file outside its folder. null where the shared data is absent.
 */
export function layOutPublished(name: string): { manifest: string; remove: () => void } | null {
  const source = join(import.meta.dirname, `${name}.json`);
  const { file, labels } = JSON.parse(readFileSync(source, 'utf8')) as { file: string; labels: string };
  const model = sharedData(`models/${file}`);
  const labelsFile = sharedData(`labels/${labels}`);
  if (model === null || labelsFile === null) return null;
  const folder = mkdtempSync(join(tmpdir(), 'fovea-manifest-'));
  const manifest = join(folder, 'manifest.json');
  copyFileSync(source, manifest);
  copyFileSync(model, join(folder, file));
  copyFileSync(labelsFile, join(folder, labels));
  return { manifest, remove: () => rmSync(folder, { recursive: true }) };
}
