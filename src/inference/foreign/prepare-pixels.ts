import { lumaWeights, type Preprocessing } from '../preprocessing.ts';
import { halfBits } from './half-bits.ts';
import type { FedType } from './input-feed.ts';

const elementArrays = { UINT8: Uint8Array, FP16: Uint16Array, FP32: Float32Array };

type Elements = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>;

/** Some of an array's elements. */
interface Run {
  readonly from: number;
  readonly step: number;
}

/**
 * What a model takes in place of pixels. Floats are scaled as `preparation` says; of bytes it changes layout and colour alone.
 *
 * @param pixels `uint8 [N, height, width, 3]` RGB
 * @returns the bytes of `[N, C, height, width]` or `[N, height, width, C]`, little-endian
 */
export function preparePixels(
  pixels: Uint8Array,
  preparation: Preprocessing,
  datatype: FedType,
): Uint8Array<ArrayBuffer> {
  const { layout, color, width, height } = preparation;
  const area = width * height;
  const sources = color === 'GRAY' ? [0] : color === 'RGB' ? [0, 1, 2] : [2, 1, 0];
  const channels = sources.length;
  const pictures = pixels.length / (area * 3);
  const elements: Elements = new elementArrays[datatype](pictures * channels * area);
  for (const [channel, source] of sources.entries()) {
    const element = elementOf(preparation, datatype, channel);
    // An element for each level there is: one look-up costs less than the scaling.
    const table = new elementArrays[datatype](256).map((_, level) => element(level));
    for (let picture = 0; picture < pictures; picture += 1) {
      const from = { from: picture * area * 3 + source, step: 3 };
      const start = picture * channels * area;
      const to =
        layout === 'NCHW'
          ? { from: start + channel * area, step: 1 }
          : { from: start + channel, step: channels };
      if (color === 'GRAY') writeGray(elements, to, pixels, from, area, element);
      else writeLevels(elements, to, pixels, from, area, table);
    }
  }
  return new Uint8Array(elements.buffer);
}

/** From a level, 0..255, to what stands for it in the tensor. */
function elementOf(
  { scale, mean, std }: Preprocessing,
  datatype: FedType,
  channel: number,
): (level: number) => number {
  if (datatype === 'UINT8') return Math.round;
  const scaled = (level: number) => (level * scale - mean[channel]!) / std[channel]!;
  return datatype === 'FP32' ? scaled : (level) => halfBits(scaled(level));
}

function writeLevels(
  elements: Elements,
  to: Run,
  pixels: Uint8Array,
  from: Run,
  count: number,
  table: Elements,
): void {
  let [at, source] = [to.from, from.from];
  for (let pixel = 0; pixel < count; pixel += 1) {
    elements[at] = table[pixels[source]!]!;
    at += to.step;
    source += from.step;
  }
}

function writeGray(
  elements: Elements,
  to: Run,
  pixels: Uint8Array,
  from: Run,
  count: number,
  element: (level: number) => number,
): void {
  const [red, green, blue] = lumaWeights;
  let [at, source] = [to.from, from.from];
  for (let pixel = 0; pixel < count; pixel += 1) {
    elements[at] = element(red * pixels[source]! + green * pixels[source + 1]! + blue * pixels[source + 2]!);
    at += to.step;
    source += from.step;
  }
}
