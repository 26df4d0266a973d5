/** How `uint8 [N, height, width, 3]` RGB pixels become what the graph was trained on. */
export interface Preprocessing {
  readonly layout: 'NCHW' | 'NHWC';
  readonly width: number;
  readonly height: number;
  readonly color: 'RGB' | 'BGR' | 'GRAY';
  /** x = (pixel · scale − mean) / std; one mean and one std a channel, in the order of `color`. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Weights of R, G and B in a grey pixel, after ITU-R BT.601. */
export const lumaWeights = [0.299, 0.587, 0.114] as const;

/** (pixel · scale − mean) / std as one factor and one offset a channel. */
export function foldScaling({ scale, mean, std }: Preprocessing): { factors: number[]; offsets: number[] } {
  return {
    factors: std.map((deviation) => scale / deviation),
    offsets: std.map((deviation, channel) => (mean[channel] === 0 ? 0 : -mean[channel]! / deviation)),
  };
}
