import { labelColumns } from '../labels.ts';
import type { OutputOf } from '../manifest.ts';
import type { Fault } from '../manifest-error.ts';
import { type Head, numbersOf, type Shown, takeOutput, unbatchedOf } from './head.ts';
import { areShares, checkProbabilities, rangeOf, scoresFound } from './ranges.ts';

/** [N,C,h,w] or [N,h,w,C]: a score a class and pixel. One channel alone is the foreground's. */
export function fitMask(
  manifest: OutputOf<'mask-logits' | 'mask-probabilities'>,
  shown: Shown,
  faults: Fault[],
): Head | null {
  const { kind, layout } = manifest;
  const wish = {
    field: 'tensor',
    name: manifest.tensor,
    wanted: `${layout === 'NCHW' ? '[N,C,h,w]' : '[N,h,w,C]'}, a score a class and pixel`,
    fits: (shape: readonly number[]) => shape.length === 3 && shape.every((length) => length > 0),
  };
  const taken = takeOutput(wish, shown, faults);
  if (taken === null) return null;
  const { name: tensor, shape } = taken;
  const channels = shape[layout === 'NCHW' ? 0 : 2]!;
  // One channel leaves no other class: the format's own default of 0 cannot be meant.
  const background = channels === 1 && manifest.background === 0 ? null : manifest.background;
  const before = faults.length;
  const labels = labelColumns(shown.labels, { columns: channels, background }, faults);
  if (faults.length > before) hintAtLayout(manifest, taken, shown, faults);
  const all = shown.answers.map((tensors) => numbersOf(tensors, tensor));
  if (kind === 'mask-probabilities')
    checkProbabilities(all, { kind, tensor, wanted: 'scores from 0 to 1, or "mask-logits"' }, faults);
  else refuseProbabilities(all, channels, { tensor, layout }, faults);
  return {
    output: { kind, tensor, layout, background },
    labels,
    unbatched: unbatchedOf(taken),
    parts: (tensors) => [{ tensor, values: numbersOf(tensors, tensor), compare: 'values' }],
  };
}

/** [N,h,w] or [N,1,h,w]: a class a pixel. How many classes there are, the label file says. */
export function fitLabels(
  { kind, tensor: name, background }: OutputOf<'labels'>,
  shown: Shown,
  faults: Fault[],
): Head | null {
  const taken = takeOutput(
    {
      field: 'tensor',
      name,
      wanted: '[N,h,w] or [N,1,h,w], a class a pixel',
      types: ['INT64', 'INT32', 'UINT8', 'FP32'],
      fits: (shape) =>
        shape.every((length) => length > 0) && (shape.length === 2 || (shape.length === 3 && shape[0] === 1)),
    },
    shown,
    faults,
  );
  if (taken === null) return null;
  const tensor = taken.name;
  const labels = labelColumns(shown.labels, { columns: shown.labels.length, background }, faults);
  for (const tensors of shown.answers) {
    const odd = numbersOf(tensors, tensor).find((each) => labels[each] === undefined);
    if (odd === undefined || Number.isNaN(odd)) continue;
    const found = `class ${odd} in tensor '${tensor}', and ${labels.length} labels`;
    const wanted = "whole numbers with a label each, the first for class 0, the background's among them";
    faults.push({ path: 'labels', found, wanted });
    break;
  }
  return {
    output: { kind, tensor, background },
    labels,
    unbatched: unbatchedOf(taken),
    parts: (tensors) => [{ tensor, values: numbersOf(tensors, tensor), compare: 'indices' }],
  };
}

/** A softmax or sigmoid on top of the graph's own would make every score and every edge wrong. */
function refuseProbabilities(
  pictures: readonly (Float32Array | Float64Array)[],
  channels: number,
  { tensor, layout }: { tensor: string; layout: 'NCHW' | 'NHWC' },
  faults: Fault[],
): void {
  const range = rangeOf(pictures);
  if (!areShares(range)) return;
  if (channels > 1 && !pictures.every((picture) => channelsSumToOne(picture, channels, layout))) return;
  const found = scoresFound('mask-logits', tensor, range) + (channels > 1 ? ' that sum to 1' : '');
  faults.push({ path: 'output.kind', found, wanted: '"mask-probabilities"' });
}

function channelsSumToOne(
  values: Float32Array | Float64Array,
  channels: number,
  layout: 'NCHW' | 'NHWC',
): boolean {
  const pixels = values.length / channels;
  const [step, stride] = layout === 'NCHW' ? [1, pixels] : [channels, 1];
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel += 1) sum += values[pixel * step + channel * stride]!;
    if (Math.abs(sum - 1) >= 1e-3) return false;
  }
  return true;
}

/** Where the labels would fit the channels of the other layout, that is what was meant. */
function hintAtLayout(
  { layout, background }: OutputOf<'mask-logits' | 'mask-probabilities'>,
  { name, shape }: { name: string; shape: readonly number[] },
  { labels }: Shown,
  faults: Fault[],
): void {
  const other = layout === 'NCHW' ? 'NHWC' : 'NCHW';
  const columns = shape[other === 'NCHW' ? 0 : 2]!;
  const inVain: Fault[] = [];
  labelColumns(labels, { columns, background }, inVain);
  if (inVain.length > 0) return;
  const found = `"${layout}", and tensor '${name}' with a picture's shape [${shape}]`;
  faults.push({ path: 'output.layout', found, wanted: `"${other}", as there are ${labels.length} labels` });
}
