import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { expectBooked } from '../support/booked.ts';
import type { ClassifyData, GraphqlAnswer } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const good = examplePicture('red-circle');
const jpeg = Buffer.from(good, 'base64');
const base64 = (bytes: Uint8Array | string) => Buffer.from(bytes as Uint8Array).toString('base64');

/** A PNG of one pixel whose header claims other measures: decoding it would find it cut off. */
async function pngThatClaims(width: number, height: number): Promise<Buffer> {
  const image = sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } });
  const png = await image.png().toBuffer();
  png.writeUInt32BE(width, 16);
  png.writeUInt32BE(height, 20);
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
  return png;
}

/** What each picture came to: its error's code, or the best label. */
function outcomes({ data, errors }: GraphqlAnswer<ClassifyData>): (string | undefined)[] {
  expect(errors).toEqual([]);
  return data!.classify.results.map((result) => ('code' in result ? result.code : result.labels[0]?.label));
}

describe('a picture that cannot be read is an ImageError beside the good results', () => {
  it('each with its code, in the order they came, and only the good ones are billed', async () => {
    const { client } = await server.createTenant();
    const hostile: [base64: string, code: string][] = [
      [base64('no picture at all'), 'UNSUPPORTED_FORMAT'],
      [base64(Buffer.alloc(4096)), 'UNSUPPORTED_FORMAT'],
      [base64('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 'UNSUPPORTED_FORMAT'],
      [base64('%PDF-1.7'), 'UNSUPPORTED_FORMAT'],
      [base64(`BM${'\0'.repeat(60)}`), 'UNSUPPORTED_FORMAT'],
      [base64(readFileSync(new URL(import.meta.url))), 'UNSUPPORTED_FORMAT'],
      ['', 'CORRUPT_IMAGE'],
      ['this is not base64!', 'CORRUPT_IMAGE'],
      [`data:image/jpeg;base64,${good}`, 'CORRUPT_IMAGE'],
      [base64(jpeg.subarray(0, 3)), 'CORRUPT_IMAGE'],
      [base64(jpeg.subarray(0, Math.floor(jpeg.length / 2))), 'CORRUPT_IMAGE'],
      [base64(await pngThatClaims(1000, 1000)), 'CORRUPT_IMAGE'],
    ];
    const images = hostile.flatMap(([bytes]) => [{ base64: bytes }, { base64: good }]);
    const answer = await client.classify({ images, topK: 1 });
    expect(outcomes(answer)).toEqual(hostile.flatMap(([, code]) => [code, 'red circle']));
    const count = hostile.length;
    expect(answer.data!.classify.receipt).toMatchObject({
      images: count,
      units: count,
      quota: { used: count, reserved: 0 },
    });
    await expectBooked(server, client, { requests: 1, images: count, units: count, errors: count });
  });

  it('and where none is good, the request is answered and bills nothing', async () => {
    const { client } = await server.createTenant();
    const answer = await client.classify({ images: [{ base64: '' }, { base64: base64('text') }] });
    expect(outcomes(answer)).toEqual(['CORRUPT_IMAGE', 'UNSUPPORTED_FORMAT']);
    expect(answer.data!.classify.receipt).toMatchObject({
      images: 0,
      units: 0,
      batchSize: 0,
      quota: { used: 0, reserved: 0 },
    });
    await expectBooked(server, client, { requests: 1, images: 0, units: 0, errors: 2 });
  });

  it('says what is wrong and what to send, and nothing of what stands behind the API', async () => {
    const { client } = await server.createTenant();
    const images = [base64('text'), '', base64(jpeg.subarray(0, 400))].map((bytes) => ({ base64: bytes }));
    const { data } = await client.classify({ images });
    const messages = data!.classify.results.map((result) => ('message' in result ? result.message : ''));
    expect(messages).toEqual([
      'The bytes are no picture of a format that is read: send JPEG, PNG, WebP, AVIF, GIF or TIFF.',
      'base64 is empty: send the bytes of a picture.',
      'The JPEG is damaged or cut off.',
    ]);
    await expectBooked(server, client, { requests: 1, images: 0, units: 0, errors: 3 });
  });
});

describe('IMAGE_TOO_LARGE is decided before decoding', () => {
  it('above 40 megapixels, by the header alone: the file behind it has no such pixels', async () => {
    const { client } = await server.createTenant();
    const claims = [
      [8001, 5000],
      [5000, 8001],
      [65_536, 65_536],
      [40_000_001, 1],
    ] as const;
    const images = await Promise.all(
      claims.map(async ([width, height]) => ({ base64: base64(await pngThatClaims(width, height)) })),
    );
    const answer = await client.classify({ images: [...images, { base64: good }], topK: 1 });
    expect(outcomes(answer)).toEqual([...claims.map(() => 'IMAGE_TOO_LARGE'), 'red circle']);
    expect(answer.data!.classify.results[0]).toMatchObject({
      message: 'The picture has 8001 × 5000 pixels; at most 40 megapixels are read.',
    });
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: claims.length });
  });

  it('above 20 MB encoded, by the length alone: the bytes are no picture', async () => {
    const { client } = await server.createTenant();
    const most = base64(Buffer.alloc(20_000_000));
    const more = base64(Buffer.alloc(20_000_001));
    const answer = await client.classify({ images: [{ base64: more }, { base64: most }, { base64: good }] });
    expect(outcomes(answer)).toEqual(['IMAGE_TOO_LARGE', 'UNSUPPORTED_FORMAT', 'red circle']);
    expect(answer.data!.classify.results[0]).toMatchObject({
      message: expect.stringContaining('at most 20 MB'),
    });
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 2 });
  });

  it('a body above 64 MB is HTTP 413 in the shape of GraphQL', async () => {
    const { client } = await server.createTenant();
    const third = base64(Buffer.alloc(17_000_000));
    const { status, data, errors } = await client.classify({
      images: [{ base64: third }, { base64: third }, { base64: third }],
    });
    expect({ status, data }).toEqual({ status: 413, data: null });
    expect(errors).toEqual([
      { message: expect.stringContaining('64000000 bytes'), extensions: { code: 'BAD_USER_INPUT' } },
    ]);
    await expectBooked(server, client, { requests: 0, images: 0, units: 0, errors: 0 });
  });
});
