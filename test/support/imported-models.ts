import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { importModel } from '../../src/models/import.ts';
import type { ServedModel } from '../../src/models/registry.ts';
import { withTrials } from '../../src/models/trials.ts';
import { layOutPublished } from './manifests/published.ts';
import { type MarkerHead, markerModel } from './marker-model.ts';
import type { TestServer } from './server.ts';

/** Where a model goes: a server, and one tenant of it or (null) all. */
export interface Target {
  readonly server: Pick<TestServer, 'context' | 'dataDir'>;
  readonly tenantId?: string | null;
}

export function importManifest(
  manifest: string,
  { server: { context, dataDir }, tenantId = null }: Target,
): Promise<ServedModel> {
  const { database } = context;
  return withTrials({ artifacts: new ArtifactStore(join(dataDir, 'artifacts')) }, (trials) =>
    importModel(manifest, { tenantId, database, trials, logger: createLogger('silent') }),
  );
}

/** Imports a model of the shared data, which must be there. */
export async function importPublished(name: string, target: Target): Promise<ServedModel> {
  const laidOut = layOutPublished(name);
  if (laidOut === null) throw new Error(`the shared data lacks ${name} or its labels`);
  return importManifest(laidOut.manifest, target).finally(laidOut.remove);
}

export interface MarkerOptions {
  readonly name: string;
  readonly head: MarkerHead;
  /** Of the square input, pixels. */
  readonly size: number;
  /** Over `fill`, e.g. fit and align. */
  readonly input?: Record<string, unknown>;
  readonly version?: number;
  /** What is found. */
  readonly label?: string;
  readonly unitsPerImage?: number;
}

const outputs: Record<MarkerHead, Record<string, unknown>> = {
  'boxes-scores': { boxes: 'boxes', scores: 'scores', format: 'xyxy', normalized: false },
  ssd: {
    ...{ boxes: 'boxes', scores: 'scores', classes: 'classes', count: 'count' },
    ...{ format: 'yxyx', normalized: true },
  },
  detections: {
    tensor: 'rows',
    columns: ['x1', 'y1', 'x2', 'y2', 'score', 'class'],
    normalized: false,
  },
  'mask-logits': { layout: 'NCHW', background: 0 },
};

/** Imports a model that finds what is magenta: see `markerModel`. */
export async function importMarker(
  { name, head, size, input = {}, version = 1, label = 'marker', unitsPerImage = 1 }: MarkerOptions,
  target: Target,
): Promise<ServedModel> {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-manifest-'));
  try {
    const isMask = head === 'mask-logits';
    const manifest = join(folder, 'manifest.json');
    writeFileSync(join(folder, 'marker.onnx'), markerModel(size, head));
    writeFileSync(join(folder, 'labels.txt'), isMask ? `background\n${label}\n` : `${label}\n`);
    writeFileSync(
      manifest,
      JSON.stringify({
        ...{ name, version, task: isMask ? 'SEGMENT' : 'DETECT', format: 'onnx', file: 'marker.onnx' },
        ...{ input: { width: size, height: size, ...input }, output: { kind: head, ...outputs[head] } },
        ...{ labels: 'labels.txt', unitsPerImage },
      }),
    );
    return await importManifest(manifest, target);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
