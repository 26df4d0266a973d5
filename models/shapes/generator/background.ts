import { type Canvas, type Figure, paint } from './canvas.ts';
import { paleTint, type Rgb } from './colours.ts';
import { distanceTo, kinds, length } from './kinds.ts';
import type { Random } from './random.ts';

/** A canvas with nothing to be found on it: one tint, a gradient or clouds, with pale lines and pale figures upon it. */
export function background(width: number, height: number, random: Random): Canvas {
  const canvas = { width, height, pixels: new Float32Array(width * height * 3) };
  const style = random.below(4);
  if (style === 0) fill(canvas, paleTint(random), paleTint(random), () => 0);
  else if (style === 1) fill(canvas, paleTint(random), paleTint(random), gradient(width, height, random));
  else fill(canvas, paleTint(random), paleTint(random), clouds(width, height, random));

  for (let count = random.below(7); count > 0; count--) {
    const figure = random.chance(0.5) ? line(width, height, random) : paleFigure(width, height, random);
    const shade = { slope: random.between(0, 0.3), angle: random.between(0, 2 * Math.PI) };
    paint(canvas, figure, { tone: paleTint(random), opacity: random.between(0.3, 1), ...shade });
  }
  return canvas;
}

/** How far (0..1) a pixel lies on the way from the first tint to the second. */
type Blend = (x: number, y: number) => number;

function fill({ width, height, pixels }: Canvas, from: Rgb, to: Rgb, blend: Blend): void {
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const t = blend(x, y);
      for (let channel = 0; channel < 3; channel++) {
        pixels[at + channel] = from[channel]! * (1 - t) + to[channel]! * t;
      }
    }
  }
}

function gradient(width: number, height: number, random: Random): Blend {
  const angle = random.between(0, 2 * Math.PI);
  const dx = Math.cos(angle) / width / Math.SQRT2;
  const dy = Math.sin(angle) / height / Math.SQRT2;
  return (x, y) => 0.5 + (x - width / 2) * dx + (y - height / 2) * dy;
}

/** Two octaves of value noise: random heights on a lattice, smoothly joined. */
function clouds(width: number, height: number, random: Random): Blend {
  const cell = (Math.max(width, height) / 8) * random.between(0.5, 4);
  const coarse = valueNoise(width, height, cell, random);
  const fine = valueNoise(width, height, cell / 3, random);
  return (x, y) => 0.7 * coarse(x, y) + 0.3 * fine(x, y);
}

function valueNoise(width: number, height: number, cell: number, random: Random): Blend {
  const columns = Math.floor(width / cell) + 2;
  const rows = Math.floor(height / cell) + 2;
  const heights = Float32Array.from({ length: columns * rows }, () => random.next());
  return (x, y) => {
    const column = Math.floor(x / cell);
    const row = Math.floor(y / cell);
    const u = smooth(x / cell - column);
    const v = smooth(y / cell - row);
    const at = row * columns + column;
    const above = heights[at]! * (1 - u) + heights[at + 1]! * u;
    const below = heights[at + columns]! * (1 - u) + heights[at + columns + 1]! * u;
    return above * (1 - v) + below * v;
  };
}

function smooth(t: number): number {
  return t * t * (3 - 2 * t);
}

function line(width: number, height: number, random: Random): Figure {
  const x = random.between(0, width);
  const y = random.between(0, height);
  const angle = random.between(0, Math.PI);
  const half = random.between(0.2, 0.8) * Math.max(width, height);
  const thickness = random.between(0.5, 3);
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  return {
    x,
    y,
    radius: half + thickness,
    distance: (px, py) => {
      const along = Math.min(Math.max((px - x) * cos + (py - y) * sin, -half), half);
      return length(px - x - along * cos, py - y - along * sin) - thickness;
    },
  };
}

/** One of the kinds, but in no colour: what is to be found must be told from it by its colour. */
function paleFigure(width: number, height: number, random: Random): Figure {
  const kind = kinds[random.below(kinds.length)]!;
  const x = random.between(0, width);
  const y = random.between(0, height);
  const radius = random.between(0.04, 0.3) * Math.min(width, height);
  return {
    x,
    y,
    radius,
    distance: (px, py) => distanceTo(kind, (px - x) / radius, (py - y) / radius) * radius,
  };
}
