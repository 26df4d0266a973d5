import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type TinyClassifier, tinyClassifier } from './tiny-classifier.ts';

export interface ModelFolder {
  /** Over the fields of a manifest that is right for `tiny`. */
  readonly manifest?: Record<string, unknown>;
  /** Over `tiny`. */
  readonly graph?: Partial<TinyClassifier>;
  /** Instead of a tiny classifier. */
  readonly file?: Uint8Array;
  readonly labels?: string | Uint8Array;
}

/** FLOAT [N,3,4,6] → FLOAT [N,4]. */
export const tiny: TinyClassifier = {
  opset: 13,
  irVersion: 8,
  input: { name: 'input', type: 'FLOAT', shape: ['N', 3, 4, 6] },
  output: { name: 'scores', shape: ['N', 4] },
  size: 3 * 4 * 6,
  classes: 4,
  head: 'none',
};

/** Writes a manifest with its files into a folder that goes with the test, and answers the manifest's path. */
export function modelFolder({
  manifest,
  graph,
  file,
  labels = 'ant\nbee\ncat\ndog\n',
}: ModelFolder = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-manifest-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'tiny.onnx'), file ?? tinyClassifier({ ...tiny, ...graph }));
  writeFileSync(join(folder, 'labels.txt'), labels);
  const path = join(folder, 'manifest.json');
  const right = {
    ...{
      name: 'tiny',
      version: 1,
      task: 'CLASSIFY',
      format: 'onnx',
      file: 'tiny.onnx',
      labels: 'labels.txt',
    },
    ...{ input: { width: 6, height: 4, scale: 1 / 255 }, output: { kind: 'logits' } },
  };
  writeFileSync(path, JSON.stringify({ ...right, ...manifest }));
  return path;
}
