import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import { maskOf } from '../support/coco-rle.ts';
import type { GraphqlAnswer } from '../support/graphql-client.ts';
import { importMarker } from '../support/imported-models.ts';
import { markedSlope, storedMarker } from '../support/oriented-pictures.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';

const picture = { width: 600, height: 450 };
/** The picture's long side: laid into the input as it is, nothing of it is resampled, and every answer is exact. */
const inputSize = picture.width;

let server: TestServer;
let image: { base64: string };
let plain: { base64: string };
let tenant: TestTenant;
beforeAll(async () => {
  server = await startServer();
  const contain = { fit: 'contain', align: 'top-left' };
  const finder = { name: 'finder', head: 'boxes-scores', size: inputSize, input: contain } as const;
  await importMarker({ ...finder, unitsPerImage: 3 }, { server });
  const cutter = { name: 'cutter', head: 'mask-logits', size: inputSize, input: contain } as const;
  await importMarker({ ...cutter, unitsPerImage: 5 }, { server });
  image = { base64: (await markedSlope(picture, 1, 'png')).file.toString('base64') };
  plain = { base64: examplePicture('green-triangle') };
}, 120_000);
afterAll(() => server?.close());
beforeEach(async () => {
  tenant = await server.createTenant();
});

const area = storedMarker.width * storedMarker.height;
const detect = (input: Record<string, unknown> = {}) =>
  tenant.client.detect({ model: 'finder', images: image, ...input });
const segment = (input: Record<string, unknown> = {}) =>
  tenant.client.segment({ model: 'cutter', images: image, ...input });

const pngs = `mutation($input: SegmentInput!) {
  segment(input: $input) {
    results { ... on Segmentation { width height segments { rle png } } }
    receipt { requestId replayed units }
  }
}`;
interface Drawn {
  readonly segment: {
    results: { width: number; height: number; segments: { rle: string; png: string }[] }[];
    receipt: { requestId: string; replayed: boolean; units: number };
  };
}

async function expectRefused(answer: GraphqlAnswer<unknown>, code: string, parts: readonly string[]) {
  expect(answer.data).toBeNull();
  expect(answer.errors.map(({ extensions }) => extensions.code)).toEqual([code]);
  for (const part of parts) expect(answer.errors[0]!.message).toContain(part);
  await expectBooked(server, tenant.client, nothing);
}

describe('detect', () => {
  it('answers what is in a picture and where, in pixels and in shares of it, and books it', async () => {
    const { errors, data } = await detect();
    expect(errors).toEqual([]);
    const { x, y, width, height } = storedMarker;
    expect(data!.detect.results).toEqual([
      {
        __typename: 'Detection',
        ...picture,
        objects: [
          {
            label: 'marker',
            index: 0,
            score: expect.closeTo(1, 5),
            box: { x, y, width, height },
            shares: {
              x: expect.closeTo(x / 600, 6),
              y: expect.closeTo(y / 450, 6),
              width: expect.closeTo(width / 600, 6),
              height: expect.closeTo(height / 450, 6),
            },
          },
        ],
      },
    ]);
    expect(data!.detect.receipt).toMatchObject({ model: 'finder', version: 1, images: 1, units: 3 });
    await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 3, errors: 0 });
  });

  it('finds nothing where nothing is, which is an answer like any other', async () => {
    const { data } = await detect({ images: plain });
    expect(data!.detect.results).toMatchObject([{ __typename: 'Detection', objects: [] }]);
    expect(data!.detect.receipt.units).toBe(3);
  });

  it('keeps overlapping boxes, weak ones and many of them as it is asked to', async () => {
    const scores = async (input: Record<string, unknown>) => {
      const [result] = (await detect(input)).data!.detect.results;
      return result && 'objects' in result ? result.objects.map(({ score }) => score) : null;
    };
    expect(await scores({})).toEqual([expect.closeTo(1, 5)]);
    const both = [expect.closeTo(1, 5), expect.closeTo(0.9, 5)];
    expect(await scores({ iouThreshold: 1 })).toEqual(both);
    expect(await scores({ iouThreshold: 1, minScore: 0.95 })).toEqual(both.slice(0, 1));
    expect(await scores({ iouThreshold: 1, maxDetections: 1 })).toEqual(both.slice(0, 1));
    expect(await scores({ iouThreshold: 0, minScore: 1, maxDetections: 1_000 })).not.toBeNull();
  });

  it('a broken picture beside a good one is an error of its own, and costs nothing', async () => {
    const broken = { base64: Buffer.from('not a picture').toString('base64') };
    const { data } = await detect({ images: [broken, image] });
    expect(data!.detect.results).toMatchObject([
      { __typename: 'ImageError', code: 'UNSUPPORTED_FORMAT' },
      { __typename: 'Detection', objects: [{ label: 'marker' }] },
    ]);
    await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 3, errors: 1 });
  });

  it('a retry under one key is the first answer and costs nothing; other arguments are a conflict', async () => {
    const first = (await detect({ idempotencyKey: 'k' })).data!.detect;
    const again = (await detect({ idempotencyKey: 'k' })).data!.detect;
    expect(again.results).toEqual(first.results);
    const { requestId } = first.receipt;
    expect(again.receipt).toMatchObject({ requestId, replayed: true, units: 0 });
    for (const other of [{ minScore: 0.5 }, { iouThreshold: 0.5 }, { maxDetections: 5 }]) {
      const { errors } = await detect({ idempotencyKey: 'k', ...other });
      expect(errors[0]!.extensions.code).toBe('IDEMPOTENCY_CONFLICT');
    }
    await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 3, errors: 0 });
  });
});

describe('segment', () => {
  it('answers which pixels are whose, and books it', async () => {
    const { errors, data } = await segment();
    expect(errors).toEqual([]);
    const [result] = data!.segment.results;
    const { x, y, width, height } = storedMarker;
    expect(result).toMatchObject({
      ...picture,
      segments: [
        {
          label: 'marker',
          index: 1,
          areaFraction: expect.closeTo(area / (600 * 450), 6),
          box: { x, y, width, height },
          shares: { x: expect.closeTo(x / 600, 6), y: expect.closeTo(y / 450, 6) },
        },
      ],
    });
    if (!result || !('segments' in result)) throw new Error('no segmentation');
    const [marker] = result.segments;
    // Two logits, 6 apart.
    expect(marker!.score).toBeCloseTo(1 / (1 + Math.exp(-6)), 3);
    const mask = maskOf(marker!.rle, result);
    const expected = mask.map((_, at) => {
      const [column, row] = [at % 600, Math.floor(at / 600)];
      return column >= x && column < x + width && row >= y && row < y + height ? 1 : 0;
    });
    expect(Buffer.compare(mask, expected)).toBe(0);
    expect(data!.segment.receipt).toMatchObject({ model: 'cutter', images: 1, units: 5 });
    await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 5, errors: 0 });
  });

  it('drops what it is too unsure of, and finds nothing where nothing is', async () => {
    const { data } = await segment({ images: [image, plain], minScore: 0.999 });
    expect(data!.segment.results).toMatchObject([{ segments: [] }, { segments: [] }]);
    expect(data!.segment.receipt.images).toBe(2);
  });

  it('draws the same mask as a 1-bit PNG, on a replay too', async () => {
    const input = { model: 'cutter', images: image, idempotencyKey: 'k' };
    // What is selected may differ: the first answer was asked for without its picture.
    const first = (await segment({ idempotencyKey: 'k' })).data!.segment;
    const { segment: drawn } = await tenant.client.data<Drawn>(pngs, { input });
    const { requestId } = first.receipt;
    expect(drawn.receipt).toEqual({ requestId, replayed: true, units: 0 });
    const [result] = drawn.results;
    const png = Buffer.from(result!.segments[0]!.png, 'base64');
    expect(png.readUInt8(24)).toBe(1); // bits a sample
    expect(png.readUInt8(25)).toBe(0); // greyscale
    const { data, info } = await sharp(png).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ ...picture, channels: 1 });
    const mask = maskOf(result!.segments[0]!.rle, result!);
    expect(
      Buffer.compare(
        data,
        mask.map((inside) => inside * 255),
      ),
    ).toBe(0);
    await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 5, errors: 0 });
  });

  describe('of a picture whose mask is as long as masks get', () => {
    const { width, height } = picture;
    let chequered: { base64: string };
    beforeAll(async () => {
      const pixels = Buffer.alloc(width * height * 3);
      for (let at = 0; at < width * height; at++) {
        const isMarker = ((at % width) + Math.floor(at / width)) % 2 === 1;
        if (isMarker) pixels.set([255, 0, 255], at * 3);
      }
      const file = await sharp(pixels, { raw: { ...picture, channels: 3 } })
        .png()
        .toBuffer();
      chequered = { base64: file.toString('base64') };
    });

    it('keeps 2 MB of masks under an idempotency key', async () => {
      const input = { images: Array(7).fill(chequered), idempotencyKey: 'k' };
      const [first, again] = [await segment(input), await segment(input)];
      expect(first.data!.segment.results).toMatchObject(Array(7).fill({ segments: [{ areaFraction: 0.5 }] }));
      expect(again.data!.segment.results).toEqual(first.data!.segment.results);
      expect(again.data!.segment.receipt.replayed).toBe(true);
      await expectBooked(server, tenant.client, { requests: 1, images: 7, units: 35, errors: 0 });
    });

    it('refuses more, bills nothing, and answers without a key', async () => {
      const images = Array(8).fill(chequered);
      const parts = ['2.2 MB of masks', 'idempotency key (2 MB)', 'leave input.idempotencyKey out'];
      await expectRefused(await segment({ images, idempotencyKey: 'k' }), 'BAD_USER_INPUT', parts);
      expect((await segment({ images })).errors).toEqual([]);
      await expectBooked(server, tenant.client, { requests: 1, images: 8, units: 40, errors: 0 });
    });
  });

  it('draws masks for every picture of a request', async () => {
    const { segment: drawn } = await tenant.client.data<Drawn>(pngs, {
      input: { model: 'cutter', images: Array(32).fill(image) },
    });
    const distinct = new Set(drawn.results.flatMap(({ segments }) => segments.map(({ png }) => png)));
    expect(drawn.results).toHaveLength(32);
    expect(distinct.size).toBe(1);
  });

  it('draws at most 200 megapixels of masks; what was found is still there for the asking', async () => {
    const background = { r: 255, g: 0, b: 255 };
    const file = await sharp({ create: { width: 7_000, height: 4_800, channels: 3, background } })
      .png()
      .toBuffer();
    const images = Array(6).fill({ base64: file.toString('base64') });
    const input = { model: 'cutter', images, idempotencyKey: 'k' };
    const { data, errors } = await tenant.client.send<Drawn>(pngs, { input });
    expect(data).toBeNull();
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['QUERY_TOO_COMPLEX']);
    for (const part of ['at most 200 megapixels', 'ask again for rle'])
      expect(errors[0]!.message).toContain(part);
    const again = (await tenant.client.segment(input)).data!.segment;
    expect(again.receipt.replayed).toBe(true);
    expect(again.results).toMatchObject(Array(6).fill({ segments: [{ areaFraction: 1 }] }));
    await expectBooked(server, tenant.client, { requests: 1, images: 6, units: 30, errors: 0 });
  });
});

describe('what is wrong is told, and nothing is run', () => {
  it.each<[what: string, input: Record<string, unknown>, parts: string[]]>([
    ['minScore above 1', { minScore: 1.1 }, ['input.minScore', '1.1', '0 to 1']],
    ['minScore below 0', { minScore: -0.1 }, ['input.minScore', '-0.1', '0 to 1']],
    ['iouThreshold above 1', { iouThreshold: 2 }, ['input.iouThreshold', '2', '0 to 1']],
    ['iouThreshold below 0', { iouThreshold: -1 }, ['input.iouThreshold', '-1', '0 to 1']],
    ['maxDetections 0', { maxDetections: 0 }, ['input.maxDetections', '0', '1 to 1000']],
    ['maxDetections 1001', { maxDetections: 1_001 }, ['input.maxDetections', '1001', '1 to 1000']],
    ['no images', { images: [] }, ['detect', 'images', '1 to 32']],
    ['33 images', { images: Array(33).fill({ base64: '' }) }, ['detect', 'images', '1 to 32']],
    ['a timeout of 0', { timeoutMs: 0 }, ['input.timeoutMs', '1 to 120000']],
  ])('detect: %s', async (_what, input, parts) => {
    await expectRefused(await detect(input), 'BAD_USER_INPUT', parts);
  });

  it.each<[what: string, input: Record<string, unknown>, parts: string[]]>([
    ['minScore above 1', { minScore: 1.1 }, ['input.minScore', '1.1', '0 to 1']],
    ['minScore below 0', { minScore: -0.1 }, ['input.minScore', '-0.1', '0 to 1']],
    ['no images', { images: [] }, ['segment', 'images', '1 to 32']],
    ['an argument of detect', { iouThreshold: 0.5 }, ['iouThreshold', 'SegmentInput']],
  ])('segment: %s', async (_what, input, parts) => {
    await expectRefused(await segment(input), 'BAD_USER_INPUT', parts);
  });

  it.each<[what: string, task: 'classify' | 'detect' | 'segment', model: string, parts: string[]]>([
    ['a detector to classify', 'classify', 'finder', ['finder', 'for detect, not for classify']],
    ['a segmenter to classify', 'classify', 'cutter', ['cutter', 'for segment, not for classify']],
    ['a classifier to detect', 'detect', 'shapes', ['shapes', 'for classify, not for detect']],
    ['a segmenter to detect', 'detect', 'cutter', ['cutter', 'for segment, not for detect']],
    ['a classifier to segment', 'segment', 'shapes', ['shapes', 'for classify, not for segment']],
    ['a detector to segment', 'segment', 'finder', ['finder', 'for detect, not for segment']],
  ])('asking %s', async (_what, task, model, parts) => {
    await expectRefused(await tenant.client[task]({ model, images: image }), 'BAD_USER_INPUT', parts);
  });

  it('a credential without INFER', async () => {
    const { client } = await server.createTenant({ scopes: ['USAGE_READ'] });
    for (const task of ['detect', 'segment'] as const) {
      const { status, errors } = await client[task]({ model: 'finder', images: image });
      expect(status).toBe(403);
      expect(errors[0]!.message).toContain(`${task} needs the scope INFER`);
    }
  });

  it('a credential for other models', async () => {
    const { createClientToken } = await tenant.client.data<{ createClientToken: { token: string } }>(
      'mutation { createClientToken(input: { models: ["cutter@1", "finder@2"] }) { token } }',
    );
    const client = tenant.client.as(createClientToken.token);
    expect((await client.segment({ model: 'cutter', images: image })).errors).toEqual([]);
    const { status, errors } = await client.detect({ model: 'finder', images: image });
    expect(status).toBe(403);
    expect(errors[0]!.extensions.code).toBe('FORBIDDEN');
    for (const part of ['finder@1', 'cutter@1, finder@2']) expect(errors[0]!.message).toContain(part);
    await expectBooked(server, tenant.client, { requests: 1, images: 1, units: 5, errors: 0 });
  });

  it('nothing of all this is left in the books', async () => {
    await server.expectExactLedger();
    expect(await server.heldUnits()).toBe(0);
  });
});
