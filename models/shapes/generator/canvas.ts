import type { Rgb } from './colours.ts';
import type { Random } from './random.ts';

/** A picture being painted: `height · width · 3` components in 0..255, not yet rounded. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly pixels: Float32Array;
}

/** Something flat on the canvas, in pixels; nothing of it lies further than `radius` from its centre. */
export interface Figure {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  /** The signed distance in pixels from the figure's edge to a point of the canvas. */
  distance(x: number, y: number): number;
}

/** A figure's tone at full light, and where its shade falls: `slope` is the light lost from one side to the other. */
export interface Paint {
  readonly tone: Rgb;
  readonly opacity: number;
  readonly slope: number;
  readonly angle: number;
}

/** Calls back for every pixel of the canvas that the figure may touch; distances are taken at pixel centres. */
export function eachPixel(
  canvas: { readonly width: number; readonly height: number },
  figure: Figure,
  visit: (index: number, distance: number, x: number, y: number) => void,
): void {
  const top = Math.max(0, Math.floor(figure.y - figure.radius - 1));
  const bottom = Math.min(canvas.height, Math.ceil(figure.y + figure.radius + 1));
  const left = Math.max(0, Math.floor(figure.x - figure.radius - 1));
  const right = Math.min(canvas.width, Math.ceil(figure.x + figure.radius + 1));
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      visit(y * canvas.width + x, figure.distance(x + 0.5, y + 0.5), x, y);
    }
  }
}

/** Paints with smooth edges: a pixel half a pixel inside the edge is covered whole, one half outside not at all. */
export function paint(canvas: Canvas, figure: Figure, { tone, opacity, slope, angle }: Paint): void {
  const { pixels } = canvas;
  const slopeX = (slope * Math.cos(angle)) / (2 * figure.radius);
  const slopeY = (slope * Math.sin(angle)) / (2 * figure.radius);
  eachPixel(canvas, figure, (index, distance, x, y) => {
    const coverage = opacity * Math.min(Math.max(0.5 - distance, 0), 1);
    if (coverage === 0) return;
    const light = 1 - slope / 2 + slopeX * (x - figure.x) + slopeY * (y - figure.y);
    for (let channel = 0; channel < 3; channel++) {
      const at = index * 3 + channel;
      pixels[at] = pixels[at]! * (1 - coverage) + tone[channel]! * light * coverage;
    }
  });
}

/**
 * Brightness, contrast and grain of a camera. The same straight line for all three channels, and none that leaves
 * 0..255: so no hue moves. Grain then adds up to ± `grain` grey levels to each component by itself.
 */
export function develop(canvas: Canvas, random: Random): Uint8Array {
  const contrast = random.between(0.65, 1);
  const offset = 255 * (1 - contrast) * random.next();
  const grain = random.chance(0.3) ? 0 : random.between(0, 24);
  const developed = new Uint8Array(canvas.pixels.length);
  for (let index = 0; index < developed.length; index++) {
    const noise = grain === 0 ? 0 : (random.next() + random.next() - 1) * grain;
    developed[index] = Math.min(
      Math.max(Math.round(canvas.pixels[index]! * contrast + offset + noise), 0),
      255,
    );
  }
  return developed;
}
