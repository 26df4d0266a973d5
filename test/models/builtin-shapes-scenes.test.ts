import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { classOf, labels } from '../../models/shapes/generator/classes.ts';
import { type Colour, colours } from '../../models/shapes/generator/colours.ts';
import { type Scene, type SceneObject, scene } from '../../models/shapes/generator/scene.ts';
import { seeds } from '../../models/shapes/recipe/seeds.ts';

const hues: Record<Colour, number> = { red: 0, orange: 31, yellow: 57, green: 120, blue: 226, purple: 288 };

function nearestColour(red: number, green: number, blue: number): Colour {
  const strongest = Math.max(red, green, blue);
  const chroma = strongest - Math.min(red, green, blue) || 1;
  const sextant =
    strongest === red
      ? (green - blue) / chroma
      : strongest === green
        ? 2 + (blue - red) / chroma
        : 4 + (red - green) / chroma;
  const far = (colour: Colour) => Math.abs(((sextant * 60 - hues[colour] + 540) % 360) - 180);
  return [...colours].sort((one, other) => far(one) - far(other))[0]!;
}

/** The share of a mask's pixels that have the colour its object is named for. */
function shareOfColour({ pixels }: Scene, { colour, mask }: SceneObject): number {
  let area = 0;
  let right = 0;
  for (const [index, visible] of mask.entries()) {
    if (visible === 0) continue;
    area++;
    const [red, green, blue] = pixels.subarray(index * 3, index * 3 + 3);
    if (nearestColour(red!, green!, blue!) === colour) right++;
  }
  return right / area;
}

describe('scenes of shapes', () => {
  it('are the same bytes for the same seed on every machine', () => {
    const { pixels, objects } = scene(1);
    expect(createHash('sha256').update(pixels).digest('hex')).toBe(
      'a28245685563afecb46ad7e4ed7f4332ce200c8c5122c8e72cfb0ffc02c16daa',
    );
    expect(objects.map(({ kind, colour, box }) => ({ kind, colour, box }))).toEqual([
      { kind: 'triangle', colour: 'orange', box: { x: 34, y: 45, width: 65, height: 64 } },
    ]);
    expect(scene(2).pixels).not.toEqual(pixels);
  });

  it('hold one object unless told, and it is of one of the 36 classes', () => {
    expect(new Set(labels).size).toBe(36);
    const seen = new Set<number>();
    for (let seed = 0; seed < 400; seed++) {
      const { objects } = scene(seed, { width: 32, height: 32 });
      expect(objects).toHaveLength(1);
      const column = classOf(objects[0]!);
      expect(labels[column]).toBe(`${objects[0]!.colour} ${objects[0]!.kind}`);
      seen.add(column);
    }
    expect(seen.size).toBe(36);
  });

  it('give boxes that enclose the masks exactly', () => {
    for (let seed = 0; seed < 50; seed++) {
      const { width, height, objects } = scene(seed, {
        width: 160,
        height: 96,
        objects: 5,
        radius: [0.1, 0.3],
      });
      for (const { box, mask } of objects) {
        const columns = new Set<number>();
        const rows = new Set<number>();
        for (const [index, visible] of mask.entries()) {
          if (visible === 0) continue;
          columns.add(index % width);
          rows.add(Math.floor(index / width));
        }
        expect(mask).toHaveLength(width * height);
        expect(box.x).toBe(Math.min(...columns));
        expect(box.y).toBe(Math.min(...rows));
        expect(box.x + box.width).toBe(Math.max(...columns) + 1);
        expect(box.y + box.height).toBe(Math.max(...rows) + 1);
      }
    }
  });

  it('give every pixel to the object one sees there, the later one where two overlap', () => {
    let borders = 0;
    for (let seed = 0; seed < 100; seed++) {
      const drawn = scene(seed, { objects: 5, radius: [0.12, 0.3] });
      for (const [index, object] of drawn.objects.entries()) {
        expect(shareOfColour(drawn, object), `seed ${seed}, object ${index}`).toBeGreaterThan(0.8);
        for (const later of drawn.objects.slice(index + 1)) {
          expect(object.mask.some((visible, pixel) => visible === 1 && later.mask[pixel] === 1)).toBe(false);
          if (object.mask.some((visible, pixel) => visible === 1 && later.mask[pixel + 1] === 1)) borders++;
        }
      }
    }
    // Masks that touch are objects that overlapped: without any, the test above would have shown nothing.
    expect(borders).toBeGreaterThan(50);
  });

  it('have seeds for training that meet no seed for judging', () => {
    const ranges = Object.values(seeds).sort((one, other) => one.from - other.from);
    for (const [index, { from, count }] of ranges.slice(0, -1).entries()) {
      expect(from + count).toBeLessThanOrEqual(ranges[index + 1]!.from);
    }
  });
});
