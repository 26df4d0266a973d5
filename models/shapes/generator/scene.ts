import { background } from './background.ts';
import { develop, eachPixel, type Figure, paint } from './canvas.ts';
import { type Colour, colours, toneOf } from './colours.ts';
import { distanceTo, type Kind, kinds } from './kinds.ts';
import { type Random, randomFrom } from './random.ts';

/** Whole pixels; `x` and `y` are the left and top edge. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface SceneObject {
  readonly kind: Kind;
  readonly colour: Colour;
  /** Encloses the mask exactly. */
  readonly box: Box;
  /** `height · width` bytes: 1 where the object is what one sees, 0 elsewhere and where a later object covers it. */
  readonly mask: Uint8Array;
}

export interface Scene {
  readonly width: number;
  readonly height: number;
  /** `height · width · 3` bytes, RGB. */
  readonly pixels: Uint8Array;
  /** From back to front: a later object lies over an earlier one. */
  readonly objects: readonly SceneObject[];
}

export interface SceneOptions {
  /** Pixels; 128 unless told. */
  readonly width?: number;
  readonly height?: number;
  /** How many objects to place, 1 unless told; fewer where no room is left. */
  readonly objects?: number;
  /** The least and greatest radius of an object as a share of the scene's short side. */
  readonly radius?: readonly [least: number, greatest: number];
}

/** At least this share of an object stays visible when others come to lie over it. */
const leastVisible = 0.6;
const placementAttempts = 20;

/** Draws a scene: the same seed and options give the same bytes everywhere. */
export function scene(seed: number, options: SceneOptions = {}): Scene {
  const { width = 128, height = 128, objects: count = 1, radius = [0.17, 0.42] } = options;
  const random = randomFrom(seed);
  const canvas = background(width, height, random);
  const placed: Placed[] = [];
  for (let attempt = 0; placed.length < count && attempt < count * placementAttempts; attempt++) {
    const candidate = place(width, height, radius, random);
    const kept = placed.map((object) => withoutCovered(object.mask, candidate.mask));
    if (!kept.every((mask, index) => area(mask) >= leastVisible * placed[index]!.fullArea)) continue;
    for (const [index, mask] of kept.entries()) placed[index]!.mask = mask;
    placed.push(candidate);
  }
  for (const { figure, colour } of placed) {
    const shade = { slope: random.between(0, 0.3), angle: random.between(0, 2 * Math.PI) };
    paint(canvas, figure, { tone: toneOf(colour, random), opacity: 1, ...shade });
  }
  const objects = placed.map(({ kind, colour, mask }) => ({ kind, colour, box: boxOf(mask, width), mask }));
  return { width, height, pixels: develop(canvas, random), objects };
}

interface Placed {
  readonly kind: Kind;
  readonly colour: Colour;
  readonly figure: Figure;
  readonly fullArea: number;
  mask: Uint8Array;
}

function place(width: number, height: number, radii: readonly [number, number], random: Random): Placed {
  const kind = kinds[random.below(kinds.length)]!;
  const colour = colours[random.below(colours.length)]!;
  const radius = random.between(...radii) * Math.min(width, height);
  const x = random.between(radius, width - radius);
  const y = random.between(radius, height - radius);
  const angle = random.between(0, 2 * Math.PI);
  const cos = Math.cos(angle) / radius;
  const sin = Math.sin(angle) / radius;
  const distance = (px: number, py: number) => {
    const dx = px - x;
    const dy = py - y;
    return distanceTo(kind, dx * cos + dy * sin, dy * cos - dx * sin) * radius;
  };
  const figure = { x, y, radius, distance };
  const mask = new Uint8Array(width * height);
  eachPixel({ width, height }, figure, (index, outside) => {
    mask[index] = outside < 0 ? 1 : 0;
  });
  return { kind, colour, figure, fullArea: area(mask), mask };
}

function withoutCovered(mask: Uint8Array, cover: Uint8Array): Uint8Array {
  return mask.map((visible, index) => visible & ~cover[index]!);
}

function area(mask: Uint8Array): number {
  let sum = 0;
  for (const visible of mask) sum += visible;
  return sum;
}

function boxOf(mask: Uint8Array, width: number): Box {
  let left = width;
  let right = -1;
  let top = -1;
  let bottom = -1;
  for (const [index, visible] of mask.entries()) {
    if (visible === 0) continue;
    const x = index % width;
    left = Math.min(left, x);
    right = Math.max(right, x);
    bottom = Math.floor(index / width);
    if (top < 0) top = bottom;
  }
  return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}
