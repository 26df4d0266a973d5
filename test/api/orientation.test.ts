import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskOf } from '../support/coco-rle.ts';
import type { BoxData } from '../support/graphql-client.ts';
import { importMarker } from '../support/imported-models.ts';
import type { MarkerHead } from '../support/marker-model.ts';
import {
  type MarkedPicture,
  markAvif,
  markedSlope,
  markJpeg,
  markPng,
  type Orientation,
  orientations,
  seenMarker,
  uprightSize,
} from '../support/oriented-pictures.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedData } from '../support/shared-data.ts';

/** At least as long as the sides that matter of every picture here: one pixel of the input is one of the picture, or less. */
const inputSize = 640;

const fits: Record<string, Record<string, unknown>> = {
  fill: { fit: 'fill' },
  'contain, centred': { fit: 'contain', align: 'center', pad: 114 },
  'contain, top left': { fit: 'contain', align: 'top-left', pad: 114 },
  cover: { fit: 'cover' },
};
/** Every fit by another head, and by masks. */
const finders: { name: string; fit: string; head: MarkerHead }[] = [
  ...(['boxes-scores', 'ssd', 'detections', 'boxes-scores'] as const).map((head, index) => {
    const fit = Object.keys(fits)[index]!;
    return { name: `marker-${index}`, fit, head };
  }),
  ...Object.keys(fits).map((fit, index) => ({
    name: `marker-mask-${index}`,
    fit,
    head: 'mask-logits' as const,
  })),
];

const tolerance = 2;

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
  for (const { name, fit, head } of finders)
    await importMarker({ name, head, size: inputSize, input: fits[fit]! }, { server });
}, 240_000);
afterAll(() => server?.close());

interface Found {
  readonly width: number;
  readonly height: number;
  readonly box: BoxData;
}

/** What one model finds in each of several pictures. */
async function find(name: string, head: MarkerHead, files: readonly Buffer[]): Promise<Found[]> {
  const input = { model: name, images: files.map((file) => ({ base64: file.toString('base64') })) };
  const results =
    head === 'mask-logits'
      ? (await server.operator.segment(input)).data!.segment.results
      : (await server.operator.detect(input)).data!.detect.results;
  return results.map((result) => {
    if ('code' in result) throw new Error(`${result.code}: ${result.message}`);
    const { width, height } = result;
    if ('objects' in result) {
      expect(result.objects).toHaveLength(1);
      return { width, height, box: result.objects[0]!.box };
    }
    expect(result.segments).toMatchObject([{ label: 'marker', index: 1 }]);
    const [segment] = result.segments;
    expect(boxOf(maskOf(segment!.rle, result), result)).toEqual(segment!.box);
    return { width, height, box: segment!.box };
  });
}

/** What encloses a mask. */
function boxOf(mask: Uint8Array, { width }: { width: number }): BoxData {
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
  mask.forEach((inside, at) => {
    if (inside === 0) return;
    left = Math.min(left, at % width);
    right = Math.max(right, (at % width) + 1);
    top = Math.min(top, Math.floor(at / width));
    bottom = Math.max(bottom, Math.floor(at / width) + 1);
  });
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** The greatest distance of an edge of one box from the other's, pixels. */
function distance(a: BoxData, b: BoxData): number {
  return Math.max(
    Math.abs(a.x - b.x),
    Math.abs(a.y - b.y),
    Math.abs(a.x + a.width - b.x - b.width),
    Math.abs(a.y + a.height - b.y - b.height),
  );
}

/** Sees that each of the models finds the marker where it is seen, in every one of `pictures`. */
async function expectFound(pictures: readonly MarkedPicture[], by = finders): Promise<void> {
  const files = pictures.map(({ file }) => file);
  for (const { name, fit, head } of by) {
    const found = await find(name, head, files);
    for (const [index, { upright, marker }] of pictures.entries()) {
      const { box, ...size } = found[index]!;
      expect(size, `${fit}, ${head}`).toEqual(upright);
      expect(distance(box, marker), `${fit}, ${head}, picture ${index}`).toBeLessThanOrEqual(tolerance);
    }
  }
}

const isMask = ({ head }: { head: MarkerHead }) => head === 'mask-logits';
/** Each in half of the formats that carry a tag, and by half of the models. */
const scenes = {
  landscape: {
    upright: { width: 600, height: 450 },
    formats: ['jpeg', 'webp'],
    by: finders.filter((finder) => !isMask(finder)),
  },
  portrait: { upright: { width: 450, height: 600 }, formats: ['png', 'tiff'], by: finders.filter(isMask) },
} as const;
const tagged = (['landscape', 'portrait'] as const).flatMap((scene) =>
  orientations.map((orientation) => ({ scene, orientation, ...scenes[scene] })),
);

describe('a box is told of the upright picture, whatever its orientation and however the model is fed', () => {
  it.each(tagged)(
    '$scene stored in orientation $orientation',
    async ({ upright, orientation, formats, by }) => {
      const pictures = await Promise.all(formats.map((format) => markedSlope(upright, orientation, format)));
      await expectFound(pictures, by);
    },
  );

  it('a tag that says otherwise puts the box elsewhere: a wrong orientation would be seen', async () => {
    for (const { upright, orientation } of tagged) {
      const stored = uprightSize(upright, orientation);
      const here = seenMarker(stored, orientation);
      const others = orientations.filter((other) => other !== orientation);
      for (const other of others)
        expect(distance(seenMarker(stored, other), here)).toBeGreaterThan(10 * tolerance);
    }
    const turned = await markedSlope(scenes.landscape.upright, 6, 'jpeg');
    const other = await markedSlope(scenes.landscape.upright, 8, 'jpeg');
    for (const { name, head } of finders) {
      const [found] = await find(name, head, [turned.file]);
      expect(found).toMatchObject(other.upright);
      expect(distance(found!.box, other.marker)).toBeGreaterThan(10 * tolerance);
    }
  });

  const formats = sharedData('formats');
  /** An AVIF is turned by properties of its own, and XMP says nothing about it. */
  const files: readonly (readonly [file: string, mark: typeof markJpeg, orientation: Orientation])[] = [
    ...([1, 3, 4, 6, 7] as const).map((tag) => [`sharp_Landscape_${tag}.jpg`, markJpeg, tag] as const),
    ...([1, 2, 4, 5, 7, 8] as const).map((tag) => [`sharp_Portrait_${tag}.jpg`, markJpeg, tag] as const),
    ['pillow_exif_imagemagick_orientation.png', markPng, 3],
    ['pillow_rot1mir0.avif', markAvif, 5],
    ['pillow_xmp_tags_orientation.avif', markAvif, 1],
  ];

  it.skipIf(formats === null).each(files)(
    '%s, as others wrote it (needs shared data: formats)',
    async (file, mark, orientation) => {
      await expectFound([await mark(`${formats}/${file}`, orientation)]);
    },
  );
});
