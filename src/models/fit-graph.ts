import { MAX_TENSOR_BYTES } from '../inference/oip/limits.ts';
import { labelColumns } from './labels.ts';
import type { ClassifyManifest, ManifestInput } from './manifest.ts';
import { type Fault, show } from './manifest-error.ts';
import { type Dimension, describeGraph, formatTensor, type GraphTensor } from './onnx/describe.ts';
import { TensorProto_DataLocation } from './onnx/generated/onnx_pb.ts';
import { type OnnxModel, opsetOf } from './onnx/model-file.ts';
import { storedTensors } from './onnx/walk.ts';
import type { Preprocessing } from './onnx/wrap-input.ts';

/** Where a manifest's classifier meets its graph. */
export interface Fit {
  readonly input: GraphTensor;
  readonly output: GraphTensor;
  readonly preprocessing: Preprocessing;
  /** Images that the graph is given at once, at most: 1 where its batch is fixed. */
  readonly maxBatch: number;
}

const MOST_AT_ONCE = 8;

/** The oldest operators under which those that `wrapInput` adds mean what they mean today. */
const OLDEST_OPSET = 7;

/** Holds a manifest and its labels against the graph they describe; null where it pushed faults. */
export function fitGraph(
  manifest: ClassifyManifest,
  labels: readonly string[],
  model: OnnxModel,
  faults: Fault[],
): Fit | null {
  const before = faults.length;
  const { inputs, outputs } = describeGraph(model);
  checkFile(model, faults);
  const input = onlyInput(inputs, faults);
  const output = scoresOutput(outputs, manifest, faults);
  const layout = input && layoutOf(input, manifest.input, faults);
  if (input && layout) checkInput(input, layout, manifest.input, faults);
  const columns = output && columnsOf(output, faults);
  if (columns) labelColumns(labels, { columns, background: manifest.output.background }, faults);
  if (!input || !output || !layout || faults.length > before) return null;
  const dynamicBatch = typeof input.shape?.[0] !== 'number' && typeof output.shape?.[0] !== 'number';
  return {
    input,
    output,
    preprocessing: preprocessingOf(manifest.input, layout),
    maxBatch: dynamicBatch ? largestBatch(manifest.input) : 1,
  };
}

/** A batch goes to a worker as one request. One image always fits: `readManifest` sees to it. */
function largestBatch({ width, height }: ManifestInput): number {
  return Math.min(MOST_AT_ONCE, Math.floor(MAX_TENSOR_BYTES / (width * height * 3)));
}

function checkFile(model: OnnxModel, faults: Fault[]): void {
  const opset = opsetOf(model);
  if (opset < OLDEST_OPSET) {
    faults.push({ path: 'file', found: `opset ${opset}`, wanted: `opset ${OLDEST_OPSET} or newer` });
  }
  for (const { name, dataLocation } of storedTensors(model)) {
    if (dataLocation !== TensorProto_DataLocation.EXTERNAL) continue;
    faults.push({
      path: 'file',
      found: `tensor '${name}' kept in another file`,
      wanted: 'one file with all weights inside',
    });
    return;
  }
}

function onlyInput(inputs: readonly GraphTensor[], faults: Fault[]): GraphTensor | null {
  if (inputs.length === 1) return inputs[0]!;
  faults.push({
    path: 'file',
    found: `${inputs.length} inputs: ${list(inputs)}`,
    wanted: 'one input, the picture',
  });
  return null;
}

function scoresOutput(
  outputs: readonly GraphTensor[],
  { output }: ClassifyManifest,
  faults: Fault[],
): GraphTensor | null {
  const found =
    output.scores === undefined && outputs.length === 1
      ? outputs[0]
      : outputs.find(({ name }) => name === output.scores);
  if (found) return found;
  faults.push({
    path: 'output.scores',
    found: show(output.scores),
    wanted: `the name of one output of the graph: ${list(outputs)}`,
  });
  return null;
}

function layoutOf(
  input: GraphTensor,
  { layout, color }: ManifestInput,
  faults: Fault[],
): 'NCHW' | 'NHWC' | null {
  const { shape } = input;
  const channels = channelsOf(color);
  if (shape?.length !== 4) {
    faults.push({
      path: 'input',
      found: `tensor ${formatTensor(input)}`,
      wanted: `rank 4: [N,${channels},H,W] or [N,H,W,${channels}]`,
    });
    return null;
  }
  if (layout) return layout;
  const first = shape[1] === channels;
  const last = shape[3] === channels;
  if (first !== last) return first ? 'NCHW' : 'NHWC';
  faults.push({
    path: 'input.layout',
    found: `nothing, and tensor ${formatTensor(input)}`,
    wanted: first
      ? '"NCHW" or "NHWC": the shape allows both'
      : `${channels} channels as color is ${color}: [N,${channels},H,W] or [N,H,W,${channels}]`,
  });
  return null;
}

function checkInput(input: GraphTensor, layout: 'NCHW' | 'NHWC', wish: ManifestInput, faults: Fault[]): void {
  const here = `tensor ${formatTensor(input)}`;
  const channels = channelsOf(wish.color);
  const [batch, second, third, fourth] = input.shape!;
  const [height, width, depth] = layout === 'NCHW' ? [third, fourth, second] : [second, third, fourth];
  const compare = (path: string, found: number, inGraph: Dimension | undefined) => {
    if (typeof inGraph === 'number' && inGraph !== found) {
      faults.push({ path, found: String(found), wanted: `${inGraph}, as in ${here} (${layout})` });
    }
  };
  compare('input.height', wish.height, height);
  compare('input.width', wish.width, width);
  if (typeof depth === 'number' && depth !== channels) {
    faults.push({
      path: 'input',
      found: `${depth} channels in ${here} (${layout})`,
      wanted: `${channels} as color is ${wish.color}`,
    });
  }
  if (typeof batch === 'number' && batch !== 1) {
    faults.push({
      path: 'input',
      found: `a batch fixed at ${batch} in ${here}`,
      wanted: 'a free batch dimension, or 1',
    });
  }
  if (input.type === 'UINT8') checkUnscaled(wish, here, faults);
  else if (input.type !== 'FLOAT') faults.push({ path: 'input', found: here, wanted: 'type FLOAT or UINT8' });
}

/** Bytes are taken as they are: a scale that nothing would apply must not be believed in. */
function checkUnscaled(wish: ManifestInput, here: string, faults: Fault[]): void {
  for (const [name, neutral] of [
    ['scale', 1],
    ['mean', 0],
    ['std', 1],
  ] as const) {
    if ([wish[name]].flat().some((value) => value !== neutral)) {
      faults.push({
        path: `input.${name}`,
        found: show(wish[name]),
        wanted: `${neutral}: ${here} takes pixels as they are`,
      });
    }
  }
}

/** [N,C], or [N,C,1,1]; null where the graph does not say, and the proof will. */
function columnsOf(output: GraphTensor, faults: Fault[]): number | null {
  const refuse = (wanted: string) => {
    faults.push({ path: 'output', found: `tensor ${formatTensor(output)}`, wanted });
    return null;
  };
  if (output.type !== 'FLOAT') return refuse('type FLOAT');
  if (output.shape === null) return null;
  const [, columns, ...rest] = output.shape;
  const squeezable = rest.length === 2 && rest.every((length) => length === 1);
  if (columns === undefined || (rest.length > 0 && !squeezable)) return refuse('[N,C], one score a class');
  return typeof columns === 'number' ? columns : null;
}

function preprocessingOf(input: ManifestInput, layout: 'NCHW' | 'NHWC'): Preprocessing {
  const { width, height, color, scale } = input;
  const spread = (value: number | number[]) =>
    Array.isArray(value) ? value : Array.from({ length: channelsOf(color) }, () => value);
  return { layout, width, height, color, scale, mean: spread(input.mean), std: spread(input.std) };
}

function channelsOf(color: ManifestInput['color']): 1 | 3 {
  return color === 'GRAY' ? 1 : 3;
}

function list(tensors: readonly GraphTensor[]): string {
  return tensors.map(formatTensor).join(', ') || 'none';
}
