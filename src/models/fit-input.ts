import type { Preprocessing } from '../inference/preprocessing.ts';
import type { ManifestInput } from './manifest.ts';
import { type Fault, show } from './manifest-error.ts';
import { type Dimension, formatTensor, type GraphTensor } from './onnx/describe.ts';

/** Where a manifest's picture enters its model. */
export interface InputFit {
  readonly input: GraphTensor;
  readonly preprocessing: Preprocessing;
}

/**
 * Holds what a manifest says of the picture against the inputs of the model it describes; null where it pushed faults. What
 * the model answers is not looked at here: it need not be declared, and a run shows it (`fitOutput`).
 */
export function fitInput(
  wish: ManifestInput,
  inputs: readonly GraphTensor[],
  faults: Fault[],
): InputFit | null {
  const before = faults.length;
  const input = onlyInput(inputs, faults);
  const layout = input && layoutOf(input, wish, faults);
  if (input && layout) checkInput(input, layout, wish, faults);
  if (!input || !layout || faults.length > before) return null;
  return { input, preprocessing: preprocessingOf(wish, layout) };
}

function onlyInput(inputs: readonly GraphTensor[], faults: Fault[]): GraphTensor | null {
  if (inputs.length === 1) return inputs[0]!;
  faults.push({
    path: 'file',
    found: `${inputs.length} inputs: ${inputs.map(formatTensor).join(', ') || 'none'}`,
    wanted: 'one input, the picture',
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

function preprocessingOf(input: ManifestInput, layout: 'NCHW' | 'NHWC'): Preprocessing {
  const { width, height, color, scale } = input;
  const spread = (value: number | number[]) =>
    Array.isArray(value) ? value : Array.from({ length: channelsOf(color) }, () => value);
  return { layout, width, height, color, scale, mean: spread(input.mean), std: spread(input.std) };
}

function channelsOf(color: ManifestInput['color']): 1 | 3 {
  return color === 'GRAY' ? 1 : 3;
}
