/** Where the original's pixels lie among the mask's cells, along one axis. */
export interface Axis {
  /** The cells that the picture lies on, the last included. */
  readonly first: number;
  readonly last: number;
  /** Runs of pixels that lie between the same two cells, in order; none where the model did not see a pixel. */
  readonly spans: readonly Span[];
  /** By pixel: how near it is to its span's upper cell, 0..1. */
  readonly share: Float64Array;
  /** By pixel: 1 where the upper cell is the nearest one, else 0. */
  readonly side: Uint8Array;
}

export interface Span {
  /** Pixels, the last excluded. */
  readonly from: number;
  readonly to: number;
  /** Cells; the same one twice at the picture's edges, beyond the centre of its outermost cells. */
  readonly low: number;
  readonly high: number;
  /** Of its pixels, those nearer to the upper cell. */
  readonly upper: number;
}

export interface AxisMap {
  /** Pixels of the original. */
  readonly length: number;
  /** input = pixel · scale + offset, in continuous coordinates of edges. */
  readonly scale: number;
  readonly offset: number;
  /** Pixels of the resized picture, and of the model's input. */
  readonly resized: number;
  readonly input: number;
  readonly cells: number;
  /** false: every pixel takes the value of its nearest cell. */
  readonly interpolate: boolean;
}

/**
 * A pixel's centre in the input's coordinates, times cells/input, less a half, is where it lies among the cells' centres; what
 * lies beyond the outermost of the picture's cells has their value. So neither the letterbox's padding nor what lies outside
 * the model's input comes in.
 */
export function sampleAxis({ length, scale, offset, resized, input, cells, interpolate }: AxisMap): Axis {
  const first = Math.floor((Math.max(0, offset) * cells) / input);
  const last = Math.ceil((Math.min(input, offset + resized) * cells) / input) - 1;
  const share = new Float64Array(length);
  const side = new Uint8Array(length);
  const spans: Span[] = [];
  let span = { from: 0, to: 0, low: -1, high: -1, upper: 0 };
  for (let pixel = 0; pixel < length; pixel++) {
    const at = (pixel + 0.5) * scale + offset;
    if (at < 0 || at >= input) continue;
    const place = clamp((at * cells) / input - 0.5, first, last);
    const nearest = Math.min(last, Math.floor(place + 0.5));
    const low = interpolate ? Math.floor(place) : nearest;
    if (low !== span.low) {
      span = { from: pixel, to: pixel, low, high: interpolate ? Math.min(low + 1, last) : low, upper: 0 };
      spans.push(span);
    }
    span.to = pixel + 1;
    share[pixel] = interpolate ? place - low : 0;
    side[pixel] = nearest - low;
    span.upper += nearest - low;
  }
  return { first, last, spans, share, side };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
