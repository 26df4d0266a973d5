import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Task } from '../src/inference/variant.ts';
import { readManifest } from '../src/models/read-manifest.ts';
import { layOutPublished } from '../test/support/manifests/published.ts';

/** A model that a bench asks. */
export interface BenchModel {
  readonly name: string;
  readonly version: number;
  readonly task: Task;
  readonly width: number;
  readonly height: number;
  readonly labels: readonly string[];
  /** Its outputs are no probabilities yet. */
  readonly isLogits: boolean;
  readonly manifest: string;
  /** Every start of the service imports it by itself. */
  readonly isBuiltIn: boolean;
  /** Removes the files that were made for it. */
  remove(): void;
}

export const mobileNetV2: Choice = { published: 'mobilenet_v2_1.0_224', builtIn: 'shapes' };
/** A sixth of MobileNetV2's arithmetic. */
export const light: Choice = { published: 'mobilenet_v1_0.5_160_uint8', builtIn: 'shapes' };
export const heavy: Choice = { published: 'mobilenet_v2_1.0_224', builtIn: 'shapes-segment' };

/** One of the shared data where it is at hand, else one that comes with Fovea. */
export interface Choice {
  readonly published: string;
  readonly builtIn: string;
}

/** `given`: a manifest that is chosen whatever else there is. */
export async function chooseModel(choice: Choice, given: string | null = null): Promise<BenchModel> {
  if (given !== null) return modelOf(given, { isBuiltIn: false, remove: () => {} });
  const laidOut = layOutPublished(choice.published);
  if (laidOut) return modelOf(laidOut.manifest, { isBuiltIn: false, remove: laidOut.remove });
  return builtInModel(choice.builtIn);
}

/** One that comes with Fovea. */
export function builtInModel(name: string): Promise<BenchModel> {
  const manifest = fileURLToPath(new URL(`../models/${name}/manifest.json`, import.meta.url));
  return modelOf(manifest, { isBuiltIn: true, remove: () => {} });
}

async function modelOf(path: string, rest: Pick<BenchModel, 'isBuiltIn' | 'remove'>): Promise<BenchModel> {
  const { manifest, labelsPath } = await readManifest(path);
  return {
    ...rest,
    name: manifest.name,
    version: manifest.version,
    task: manifest.task,
    width: manifest.input.width,
    height: manifest.input.height,
    labels: readFileSync(labelsPath, 'utf8').trimEnd().split('\n'),
    isLogits: manifest.output.kind === 'logits',
    manifest: path,
  };
}
