import { lumaWeights, type Preprocessing } from '../inference/preprocessing.ts';
import type { Tensor } from '../inference/tensor.ts';
import { numbersFrom } from '../lib/numbers-from.ts';

/**
 * Five pictures, `height · width · 3` RGB bytes each, the same on every run: noise over all levels, dark noise, a slope under
 * noise, bright noise, and bands of dark and bright noise. They differ enough that a model whose scores are the same for all
 * of them does not look at its input.
 */
export function proofPictures(width: number, height: number): Uint8Array[] {
  const random = numbersFrom(20_261_123);
  const picture = (level: (noise: number, position: number) => number) => {
    const pixels = new Uint8Array(width * height * 3); // filled by hand: `from` takes seconds for a large one
    for (let index = 0; index < pixels.length; index += 1)
      pixels[index] = level(random(), index / pixels.length);
    return pixels;
  };
  return [
    picture((noise) => noise * 256),
    picture((noise) => noise * 64),
    picture((noise, position) => position * 192 + noise * 64),
    picture((noise) => 192 + noise * 64),
    picture((noise, position) => (Math.floor(position * 6) % 2) * 192 + noise * 64),
  ];
}

export function pixelTensor(
  name: string,
  pictures: readonly Uint8Array[],
  { width, height }: Preprocessing,
): Tensor {
  return {
    name,
    datatype: 'UINT8',
    shape: [pictures.length, height, width, 3],
    data: Buffer.concat(pictures),
  };
}

/**
 * What the original graph must be fed, worked out one number at a time from the manifest's formula. On purpose it shares
 * nothing with the nodes that `wrapInput` adds: the proof compares the two.
 */
export function originalTensor(
  { name, datatype }: { name: string; datatype: 'FP32' | 'UINT8' },
  pictures: readonly Uint8Array[],
  { layout, width, height, color, scale, mean, std }: Preprocessing,
): Tensor {
  const channels = mean.length;
  const length = channels * height * width;
  const values = new (datatype === 'FP32' ? Float32Array : Uint8Array)(length * pictures.length);
  for (const [batch, picture] of pictures.entries()) {
    for (let pixel = 0; pixel < width * height; pixel += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        const level = levelOf(picture, pixel * 3, color, channel);
        const at = layout === 'NCHW' ? channel * height * width + pixel : pixel * channels + channel;
        values[batch * length + at] =
          datatype === 'FP32' ? (level * scale - mean[channel]!) / std[channel]! : Math.round(level);
      }
    }
  }
  const shape = layout === 'NCHW' ? [channels, height, width] : [height, width, channels];
  return { name, datatype, shape: [pictures.length, ...shape], data: new Uint8Array(values.buffer) };
}

function levelOf(picture: Uint8Array, at: number, color: Preprocessing['color'], channel: number): number {
  const [red, green, blue] = [picture[at]!, picture[at + 1]!, picture[at + 2]!];
  if (color === 'GRAY') return lumaWeights[0] * red + lumaWeights[1] * green + lumaWeights[2] * blue;
  return (color === 'RGB' ? [red, green, blue] : [blue, green, red])[channel]!;
}
