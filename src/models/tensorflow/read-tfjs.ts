import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { hashFile } from '../../inference/artifact-store.ts';
import { locateFile } from '../locate-file.ts';
import { type Fault, show } from '../manifest-error.ts';
import type { ModelFile, SourceModel, SourceOptions } from '../source-model.ts';
import { tensorFlowSource } from './tensorflow-source.ts';
import { graphInputs, layersInputs } from './tfjs-inputs.ts';

type Format = 'tfjs-graph' | 'tfjs-layers';

const length = z.int().min(0);
const weight = z.object({
  name: z.string(),
  shape: z.array(length),
  dtype: z.string(),
  quantization: z.object({ dtype: z.string() }).optional(),
});
const modelFile = z.object({
  modelTopology: z.record(z.string(), z.unknown()),
  signature: z.unknown().optional(),
  weightsManifest: z.array(z.object({ paths: z.array(z.string().min(1)), weights: z.array(weight) })),
});
export type TfjsModel = z.infer<typeof modelFile>;

const bytesPerElement: Readonly<Record<string, number>> = {
  float32: 4,
  int32: 4,
  bool: 1,
  complex64: 8,
  uint8: 1,
  uint16: 2,
  float16: 2,
};

/** Reads a TensorFlow.js model's JSON and finds the files of its weights. null where faults were pushed. */
export async function readTfjs(
  format: Format,
  options: SourceOptions,
  faults: Fault[],
): Promise<SourceModel | null> {
  const bytes = await readFile(options.modelPath);
  const model = parse(bytes, faults);
  if (model === null || !isOfFormat(format, model, faults)) return null;
  const files = new Map<string, ModelFile>();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  files.set('model.json', { path: options.modelPath, sha256, bytes: bytes.length });
  for (const group of model.weightsManifest) await readWeights(group, options, files, faults);
  const inputs = format === 'tfjs-graph' ? graphInputs(model) : layersInputs(model);
  return faults.length > 0 ? null : tensorFlowSource(format, { sha256, files, inputs });
}

function parse(bytes: Uint8Array, faults: Fault[]): TfjsModel | null {
  try {
    return modelFile.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    const found = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    faults.push({ path: 'file', found, wanted: "a TensorFlow.js model's JSON, with its weightsManifest" });
    return null;
  }
}

function isOfFormat(format: Format, { modelTopology }: TfjsModel, faults: Fault[]): boolean {
  const found = Array.isArray(modelTopology.node) ? 'tfjs-graph' : 'tfjs-layers';
  if (found === format) return true;
  const words = found === 'tfjs-graph' ? 'a graph of operators' : 'an architecture of layers';
  faults.push({ path: 'format', found: `${show(format)}, and ${words} in the file`, wanted: show(found) });
  return false;
}

/** The files of one group follow one another, and hold its weights without a gap. */
async function readWeights(
  { paths, weights }: TfjsModel['weightsManifest'][number],
  { manifestPath, file, tell }: SourceOptions,
  files: Map<string, ModelFile>,
  faults: Fault[],
): Promise<void> {
  let found = 0;
  for (const place of paths) {
    const path = await locateFile(manifestPath, 'file', join(dirname(file), place), faults);
    if (path === null) return; // told by its name
    tell(path);
    const { size } = await stat(path);
    files.set(place, { path, sha256: (await hashFile(path)) ?? '', bytes: size });
    found += size;
  }
  const wanted = weights.reduce((sum, each) => sum + sizeOf(each), 0);
  if (Number.isNaN(wanted) || found === wanted) return; // texts are as long as they are
  const names = paths.map(show).join(', ');
  faults.push({
    path: 'file',
    found: `${found} bytes in ${names}`,
    wanted: `${wanted}, as its weights take`,
  });
}

function sizeOf({
  shape,
  dtype,
  quantization,
}: TfjsModel['weightsManifest'][number]['weights'][number]): number {
  const each = bytesPerElement[quantization?.dtype ?? dtype] ?? Number.NaN;
  return shape.reduce((product, axis) => product * axis, each);
}
