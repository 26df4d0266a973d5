import { stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { hashFile, placeOf } from '../../inference/artifact-store.ts';
import { locateFile } from '../locate-file.ts';
import { type Fault, show } from '../manifest-error.ts';
import type { ModelFile, SourceOptions } from '../source-model.ts';
import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType } from './generated/onnx_pb.ts';
import type { OnnxModel } from './model-file.ts';
import { storedTensors } from './walk.ts';

/** Files that a graph keeps weights in, by the `location` that it names each by. */
export type WeightFiles = ReadonlyMap<string, ModelFile>;

const types = TensorProto_DataType;

/** Bits an element takes in a file, after onnx.proto's account of `raw_data`; strings cannot be there. */
const bitsPerElement = new Map<number, number>([
  ...[types.DOUBLE, types.INT64, types.UINT64, types.COMPLEX64].map((type) => [type, 64] as const),
  ...[types.FLOAT, types.INT32, types.UINT32].map((type) => [type, 32] as const),
  ...[types.FLOAT16, types.BFLOAT16, types.INT16, types.UINT16].map((type) => [type, 16] as const),
  ...[types.BOOL, types.INT8, types.UINT8].map((type) => [type, 8] as const),
  ...[types.FLOAT8E4M3FN, types.FLOAT8E4M3FNUZ, types.FLOAT8E5M2].map((type) => [type, 8] as const),
  ...[types.FLOAT8E5M2FNUZ, types.FLOAT8E8M0].map((type) => [type, 8] as const),
  ...[types.INT4, types.UINT4, types.FLOAT4E2M1].map((type) => [type, 4] as const),
  ...[types.INT2, types.UINT2].map((type) => [type, 2] as const),
]);

/**
 * Finds and hashes the files that the graph keeps weights in; empty where it has them all inside. A location is relative
 * to the graph's own file, and neither it nor a link may lead out of the manifest's folder. Every tensor must lie within
 * its file with the length that its type and shape give. null where it pushed faults.
 */
export async function readWeightFiles(
  { manifestPath, file, tell }: Omit<SourceOptions, 'modelPath'>,
  model: OnnxModel,
  faults: Fault[],
): Promise<WeightFiles | null> {
  const before = faults.length;
  const located = new Map<string, { path: string; bytes: number } | null>();
  for (const tensor of externalTensors(model)) {
    const place = placeIn(tensor, faults);
    if (place === null) continue;
    const { location } = place;
    // Many tensors share a file: what is wrong with it is told once.
    if (!located.has(location))
      located.set(location, await locate(manifestPath, file, tensor, location, faults));
    const found = located.get(location);
    if (found) checkEnd(tensor, place, found.bytes, faults);
  }
  if (faults.length > before) return null;
  const files = new Map<string, ModelFile>();
  for (const [location, found] of located) {
    tell(found!.path);
    files.set(location, { ...found!, sha256: (await hashFile(found!.path)) ?? '' });
  }
  return files;
}

/** Makes the graph name its files of weights by where the artefact store keeps them. */
export function pointToStore(model: OnnxModel, files: WeightFiles): void {
  for (const tensor of externalTensors(model)) {
    const { location, offset, length } = entriesOf(tensor);
    const entries = { location: placeOf(files.get(location!)!.sha256), offset, length };
    tensor.externalData = Object.entries(entries)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ({ $typeName: 'onnx.StringStringEntryProto', key, value: value! }));
  }
}

function* externalTensors(model: OnnxModel): Generator<TensorProto> {
  for (const tensor of storedTensors(model)) {
    if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL) yield tensor;
  }
}

function entriesOf({ externalData }: TensorProto): Record<string, string | undefined> {
  return Object.fromEntries(externalData.map(({ key, value }) => [key, value]));
}

interface Place {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

function placeIn(tensor: TensorProto, faults: Fault[]): Place | null {
  const { location = '', offset = '0', length } = entriesOf(tensor);
  const size = sizeOf(tensor);
  const refuse = (found: string, wanted: string) => {
    faults.push({ path: 'file', found: `tensor '${tensor.name}' ${found}`, wanted });
    return null;
  };
  if (location === '') return refuse('kept in another file, without its location', 'the name of that file');
  // locateFile would take the second for what it leads to.
  if (isAbsolute(location) || location.split(/[/\\]/).includes('..'))
    return refuse(`kept in ${show(location)}`, "a file beside the graph's or below it");
  if (size === null)
    return refuse(`of element type ${tensor.dataType} kept in another file`, 'a type of numbers there');
  if (length !== undefined && length !== String(size))
    return refuse(`of ${length} bytes in ${show(location)}`, `${size} bytes, as its type and shape give`);
  if (!/^\d{1,15}$/.test(offset))
    return refuse(`at offset ${show(offset)} of ${show(location)}`, 'a whole number of bytes');
  return { location, offset: Number(offset), length: size };
}

/** Bytes; null: no file holds such elements. */
function sizeOf({ dataType, dims }: TensorProto): number | null {
  const bits = bitsPerElement.get(dataType);
  if (bits === undefined || dims.some((length) => length < 0n)) return null;
  const elements = dims.reduce((product, length) => product * length, 1n);
  return Number((elements * BigInt(bits) + 7n) / 8n);
}

async function locate(
  manifestPath: string,
  file: string,
  { name }: TensorProto,
  location: string,
  faults: Fault[],
): Promise<{ path: string; bytes: number } | null> {
  const found: Fault[] = [];
  const path = await locateFile(manifestPath, 'file', join(dirname(file), location), found);
  faults.push(...found.map((fault) => ({ ...fault, found: `tensor '${name}' kept in ${fault.found}` })));
  return path === null ? null : { path, bytes: (await stat(path)).size };
}

function checkEnd(
  { name }: TensorProto,
  { location, offset, length }: Place,
  bytes: number,
  faults: Fault[],
): void {
  if (offset + length <= bytes) return;
  const found = `tensor '${name}' at bytes ${offset} to ${offset + length} of ${show(location)}`;
  faults.push({ path: 'file', found, wanted: `bytes within that file, which has ${bytes}` });
}
