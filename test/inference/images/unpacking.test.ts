import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../../src/inference/images/decode.ts';
import { coordinatePicture, geometry, pngChunk } from './pictures.ts';

/** Resident memory that one small picture in a file of at most 20 MB may add, however much the file claims or unpacks to. */
const memoryAllowed = 200_000_000;

const { pixels, image } = coordinatePicture(12, 8);
const png = await image.clone().png().toBuffer();
const withChunks = (...chunks: Buffer[]) => Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)]);

/** The picture as it lies in the file, and the memory it took to read. */
async function read(file: Uint8Array) {
  const before = process.memoryUsage.rss();
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 1);
  try {
    const decoded = await decodeImage(file, geometry({ width: 12, height: 8 }));
    return { decoded, added: Math.max(peak, process.memoryUsage.rss()) - before };
  } finally {
    clearInterval(watch);
  }
}

async function expectPicture(file: Uint8Array) {
  const { decoded, added } = await read(file);
  expect(Buffer.compare(decoded.pixels, pixels)).toBe(0);
  expect(added).toBeLessThan(memoryAllowed);
}

describe('a PNG gives its picture', () => {
  const megabytes50 = deflateSync(Buffer.alloc(50_000_000, 'a'), { level: 9 });
  const text = (head: string) => Buffer.concat([Buffer.from(head, 'latin1'), megabytes50]);
  const profile = (hex: string) => Buffer.from(`Raw profile type exif\0${hex}`);
  const compressedProfile = (body: Buffer) =>
    pngChunk('zTXt', Buffer.concat([profile('\0'), deflateSync(body, { level: 9 })]));

  test.each([
    ['compressed text', Array.from({ length: 20 }, (_, i) => pngChunk('zTXt', text(`key ${i}\0\0`)))],
    [
      'international text',
      Array.from({ length: 20 }, (_, i) => pngChunk('iTXt', text(`key ${i}\0\x01\0\0\0`))),
    ],
    ['a colour profile', [pngChunk('iCCP', text('profile\0\0'))]],
    ['EXIF as text', [compressedProfile(Buffer.alloc(50_000_000, 'a'))]],
    ['EXIF in a chunk of its own', [pngChunk('eXIf', Buffer.alloc(19_000_000, 'II*\0'))]],
  ])('whatever its %s unpacks to', async (_name, chunks) => {
    await expectPicture(withChunks(...chunks));
  });

  test('among a million other chunks', async () => {
    await expectPicture(withChunks(Buffer.alloc(12_000_000, pngChunk('tEXt', Buffer.alloc(0)))));
  });

  test('though thousands of chunks say they are its EXIF', async () => {
    const one = compressedProfile(Buffer.from(`exif 1 ${'a '.repeat(140_000)}`));
    await expectPicture(withChunks(Buffer.alloc(one.length * 10_000, one)));
  });

  // What backtracks takes minutes here, for the text is the longest that is read.
  test.each([
    ['a tEXt chunk', pngChunk('tEXt', profile(`exif 1${' '.repeat(270_000)}!`))],
    ['a zTXt chunk', compressedProfile(Buffer.from(`exif 1${' '.repeat(270_000)}!`))],
    ['a text that is too long', compressedProfile(Buffer.from(`exif 1${' '.repeat(7_000_000)}!`))],
    ['a text that only begins', pngChunk('tEXt', profile(' '.repeat(270_000)))],
    ['a long length', pngChunk('tEXt', profile(`exif ${'1'.repeat(270_000)}`))],
  ])('though its EXIF is mostly space, in %s', async (_name, chunk) => {
    await expectPicture(withChunks(chunk));
  });

  test('turned by a compressed text of its EXIF, and by none after its end', async () => {
    const upsideDown = '49492a0008000000010012010300010000000300000000000000';
    const chunk = compressedProfile(Buffer.from(`\nexif\n      26\n${upsideDown}\n`));
    const { decoded } = await read(withChunks(chunk));
    expect([...decoded.pixels.subarray(0, 3)]).toEqual([...pixels.subarray(-3)]);
    await expectPicture(Buffer.concat([png, chunk]));
  });
});

type Tag = readonly [
  tag: number,
  type: 'ascii' | 'short' | 'long' | 'undefined',
  count: number,
  value: number,
];
const typeCodes = { ascii: 2, short: 3, long: 4, undefined: 7 };

/** The picture above, uncompressed, its rows from offset 16; `ballast` follows them, for tags that point there. */
function tiffFile(kind: 'classic' | 'big', tags: (ballastAt: number) => Tag[], ballast: Buffer): Buffer {
  const ballastAt = 16 + pixels.length;
  const offsetBytes = kind === 'big' ? 8 : 4;
  const number = (value: number, bytes: number) => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeUInt32LE(value); // small enough for the lower half
    return buffer;
  };
  const short = (value: number) => number(value, 4).subarray(0, 2);
  const entries: Tag[] = [
    [256, 'long', 1, 12],
    [257, 'long', 1, 8],
    [258, 'short', 1, 8],
    [262, 'short', 1, 2],
    [273, 'long', 1, 16],
    [277, 'short', 1, 3],
    [278, 'long', 1, 8],
    [279, 'long', 1, pixels.length],
    ...tags(ballastAt),
  ];
  const directoryAt = number(ballastAt + ballast.length, offsetBytes);
  const header =
    kind === 'big'
      ? [Buffer.from('II+\0\b\0\0\0'), directoryAt]
      : [Buffer.from('II*\0'), directoryAt, Buffer.alloc(8)];
  return Buffer.concat([
    ...header,
    pixels,
    ballast,
    kind === 'big' ? number(entries.length, 8) : short(entries.length),
    ...entries
      .toSorted(([a], [b]) => a - b)
      .flatMap(([tag, type, count, value]) => [
        short(tag),
        short(typeCodes[type]),
        number(count, offsetBytes),
        number(value, offsetBytes),
      ]),
    Buffer.alloc(offsetBytes),
  ]);
}

describe.each(['classic', 'big'] as const)('a %s TIFF gives its picture', (kind) => {
  const ballast = Buffer.concat([Buffer.alloc(18_000_000, 'a'), Buffer.alloc(1)]);
  const texts = [269, 270, 271, 272, 285, 305, 306, 315, 316, 337, 33432];
  const blobs = [347, 700, 33723, 34377, 34675, 37724];

  test('and turns it', async () => {
    const { decoded } = await read(tiffFile(kind, () => [[274, 'short', 1, 3]], Buffer.alloc(0)));
    expect([...decoded.pixels.subarray(0, 3)]).toEqual([...pixels.subarray(-3)]);
  });

  test.each<[string, (at: number) => Tag[]]>([
    // libtiff's memory ends before they do, and libvips takes what it says of the others for text.
    ['texts', (at) => texts.map((tag) => [tag, 'ascii', ballast.length, at])],
    ['profiles', (at) => blobs.map((tag) => [tag, 'undefined', ballast.length, at])],
    [
      'tags that nobody knows',
      (at) => Array.from({ length: 500 }, (_, i) => [50_000 + i, 'ascii', ballast.length, at]),
    ],
    ['the same tag', (at) => Array.from({ length: 500 }, () => [34675, 'undefined', 4_000_000, at])],
  ])('however many bytes %s claim', async (_name, tags) => {
    await expectPicture(tiffFile(kind, tags, ballast));
  });

  test('though its directory is its own next one', async () => {
    const file = tiffFile(kind, () => [], Buffer.alloc(0));
    const directoryAt = 16 + pixels.length;
    file.writeUInt32LE(directoryAt, file.length - (kind === 'big' ? 8 : 4));
    await expectPicture(file);
  });

  test('unless its directory lies outside the file', async () => {
    const file = tiffFile(kind, () => [], Buffer.alloc(0));
    const at = kind === 'big' ? 8 : 4;
    for (const offset of [file.length - 1, file.length, 0xffff_ffff]) {
      file.writeUInt32LE(offset, at);
      await expect(read(file)).rejects.toMatchObject({ code: 'CORRUPT_IMAGE' });
    }
  });
});
