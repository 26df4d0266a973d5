import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { hashFile } from '../../inference/artifact-store.ts';
import {
  DataType,
  SavedModelSchema,
  type SignatureDef,
  type TensorInfo,
} from '../../inference/foreign/tensorflow-serving/generated/tensorflow_pb.ts';
import { locateFile } from '../locate-file.ts';
import type { Fault } from '../manifest-error.ts';
import type { GraphSignature, GraphTensor } from '../onnx/describe.ts';
import type { ModelFile, SourceModel, SourceOptions } from '../source-model.ts';
import { tensorFlowSource } from './tensorflow-source.ts';

const typeNames = new Map<number, string>(Object.entries(DataType).map(([name, value]) => [value, name]));

/** What belongs to a SavedModel beside `saved_model.pb`; other files of the folder are somebody else's. */
const PARTS = ['fingerprint.pb', 'variables', 'assets'];
const DEFAULT_SIGNATURE = 'serving_default';
const SHARD = /^variables\/variables\.data-(\d{5})-of-(\d{5})$/;

/**
 * Reads a SavedModel: its signature from `saved_model.pb`, and which files lie beside it. What TensorFlow alone can tell (an
 * operator that it does not know, a damaged shard) is left to the trial. null where faults were pushed.
 */
export async function readSavedModel(options: SourceOptions, faults: Fault[]): Promise<SourceModel | null> {
  const bytes = await readFile(options.modelPath);
  const signature = readSignature(bytes, faults);
  const files = await listFiles(options, faults);
  checkShards([...files.keys()], faults);
  if (!signature || faults.length > 0) return null;
  return tensorFlowSource('saved-model', {
    sha256: createHash('sha256').update(bytes).digest('hex'),
    files,
    inputs: signature.inputs,
  });
}

/**
 * What it is fed and answers by the signature that it is served by: `serving_default`, else the only one.
 *
 * @param bytes of its `saved_model.pb`
 */
export function readSignature(bytes: Uint8Array, faults: Fault[]): GraphSignature | null {
  const refuse = (found: string, wanted: string) => {
    faults.push({ path: 'file', found, wanted });
    return null;
  };
  let graphs: ReturnType<typeof fromBinary<typeof SavedModelSchema>>['metaGraphs'];
  try {
    graphs = fromBinary(SavedModelSchema, bytes).metaGraphs;
  } catch (error) {
    return refuse(`no SavedModel: ${(error as Error).message}`, 'saved_model.pb, or the folder it lies in');
  }
  const graph = graphs.find(({ metaInfoDef }) => metaInfoDef?.tags.includes('serve'));
  if (!graph) {
    const tags = graphs.map(({ metaInfoDef }) => `[${metaInfoDef?.tags.join(',')}]`).join(', ');
    return refuse(`graphs with the tags ${tags || 'of none'}`, "a SavedModel with a graph tagged 'serve'");
  }
  // TensorFlow's own, which initialises the graph.
  const names = Object.keys(graph.signatureDef).filter((name) => name !== '__saved_model_init_op');
  const name = names.includes(DEFAULT_SIGNATURE) || names.length !== 1 ? DEFAULT_SIGNATURE : names[0]!;
  const signature = graph.signatureDef[name];
  if (!signature) {
    const found = `a SavedModel with the signatures ${names.join(', ') || '(none)'}`;
    return refuse(found, `one named ${DEFAULT_SIGNATURE}, or one alone: in Keras, model.export(folder)`);
  }
  if (Object.keys(signature.outputs).length === 0)
    return refuse(`the signature '${name}' without outputs`, 'a signature that answers something');
  return { inputs: describeAll(signature.inputs), outputs: describeAll(signature.outputs) };
}

async function listFiles(
  { manifestPath, file, modelPath, tell }: SourceOptions,
  faults: Fault[],
): Promise<Map<string, ModelFile>> {
  const folder = dirname(modelPath);
  // Named by the manifest: the folder itself, or saved_model.pb in it.
  const named = basename(modelPath) === basename(file) ? dirname(file) : file;
  const places = [basename(modelPath)];
  for (const part of PARTS) {
    const path = join(folder, part);
    const found = await stat(path).catch(() => null); // Not every model has each.
    if (found?.isFile()) places.push(part);
    if (!found?.isDirectory()) continue;
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const inside = entries.filter((entry) => !entry.isDirectory());
    places.push(...inside.map((entry) => relative(folder, join(entry.parentPath, entry.name))));
  }
  const files = new Map<string, ModelFile>();
  for (const place of places.toSorted()) {
    const path = await locateFile(manifestPath, 'file', join(named, place), faults);
    if (path === null) continue;
    tell(path);
    const sha256 = (await hashFile(path)) ?? '';
    files.set(place.split(sep).join('/'), { path, sha256, bytes: (await stat(path)).size });
  }
  return files;
}

/** A checkpoint of several shards is whole with all of them and its index: TensorFlow's message names none of them. */
function checkShards(places: readonly string[], faults: Fault[]): void {
  const shards = places.flatMap((place) => SHARD.exec(place)?.slice(1).map(Number) ?? []);
  const hasIndex = places.includes('variables/variables.index');
  if (shards.length === 0 && !hasIndex) return; // a graph of constants
  const count = shards[1] ?? 1;
  const numbered = (number: number) => String(number).padStart(5, '0');
  const wanted = [
    'variables/variables.index',
    ...Array.from(
      { length: count },
      (_, shard) => `variables/variables.data-${numbered(shard)}-of-${numbered(count)}`,
    ),
  ];
  const missing = wanted.filter((place) => !places.includes(place));
  if (missing.length === 0) return;
  faults.push({
    path: 'file',
    found: `a SavedModel without ${missing.join(', ')}`,
    wanted: 'all of its files',
  });
}

function describeAll(tensors: SignatureDef['inputs']): GraphTensor[] {
  return Object.entries(tensors).map(([name, tensor]) => describe(name, tensor));
}

function describe(name: string, { dtype, tensorShape }: TensorInfo): GraphTensor {
  const type = typeNames.get(dtype)?.replace(/^DT_/, '') ?? `type ${dtype}`;
  const shape = tensorShape && !tensorShape.unknownRank ? tensorShape.dim : null;
  return { name, type, shape: shape?.map(({ size }) => (size > 0n ? Number(size) : null)) ?? null };
}
