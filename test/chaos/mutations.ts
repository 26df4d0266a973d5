import { crc32 } from 'node:zlib';
import { numbersFrom } from '../../src/lib/numbers-from.ts';

type Mutation = (file: Buffer, random: () => number) => Buffer;

const below = (random: () => number, limit: number) => Math.floor(random() * limit);

const flipBits: Mutation = (file, random) => {
  const mutant = Buffer.from(file);
  for (let flips = 1 + below(random, 64); flips > 0; flips--) {
    mutant[below(random, mutant.length)]! ^= 1 << below(random, 8);
  }
  return mutant;
};

const truncate: Mutation = (file, random) => file.subarray(0, 1 + below(random, file.length - 1));

/** Sizes, offsets, counts and types stand at the beginning of most formats. */
const editHeader: Mutation = (file, random) => {
  const mutant = Buffer.from(file);
  const extent = Math.min(mutant.length, [32, 128, 1_024][below(random, 3)]!);
  for (let edits = 1 + below(random, 8); edits > 0; edits--) {
    mutant[below(random, extent)] = [0, 1, 0x7f, 0x80, 0xff, below(random, 256)][below(random, 6)]!;
  }
  return mutant;
};

/** The tables of a TIFF and of EXIF may stand anywhere; so may what a format keeps at its end. */
const overwriteRun: Mutation = (file, random) => {
  const mutant = Buffer.from(file);
  const from = below(random, mutant.length);
  mutant.fill(
    [0, 0xff, below(random, 256)][below(random, 3)]!,
    from,
    Math.min(mutant.length, from + 1 + below(random, 64)),
  );
  return mutant;
};

const repeatPart: Mutation = (file, random) => {
  const from = below(random, file.length);
  const part = file.subarray(from, from + 1 + below(random, 4_096));
  return Buffer.concat([file.subarray(0, from), part, part, file.subarray(from)]);
};

/** A PNG whose checksums fail is refused at once: with right ones its header is believed. */
const editPngHeader: Mutation = (file, random) => {
  if (file.toString('latin1', 1, 4) !== 'PNG') return editHeader(file, random);
  const mutant = Buffer.from(file);
  const [header, end] = [16, 29]; // IHDR: width, height, depth, colour type, compression, filter, interlace
  mutant[header + below(random, end - header)] = below(random, 256);
  mutant.writeUInt32BE(crc32(mutant.subarray(header - 4, end)), end);
  return mutant;
};

const mutations = { flipBits, truncate, editHeader, overwriteRun, repeatPart, editPngHeader };

/** What became of a picture, and by which mutation. */
export function mutate(file: Buffer, seed: number): { mutant: Buffer; by: string } {
  const random = numbersFrom(seed);
  const [by, mutation] = Object.entries(mutations)[below(random, Object.keys(mutations).length)]!;
  return { mutant: mutation(file, random), by };
}
