import { expect, it } from 'vitest';
import { GatheredPieces } from '../../../src/inference/oip/gathered-pieces.ts';
import { numbersFrom } from '../../../src/lib/numbers-from.ts';

const bytes = (length: number) => Uint8Array.from({ length }, (_, at) => (at * 31) % 251);

/** In pieces of the lengths given, again and again. */
function gather(whole: Uint8Array, lengthOf: (piece: number) => number): readonly Uint8Array[] {
  const pieces = new GatheredPieces();
  for (let at = 0, piece = 0; at < whole.length; piece += 1) {
    const length = lengthOf(piece);
    pieces.add(whole.subarray(at, at + length));
    at += length;
  }
  return pieces.all;
}

it('keeps a body in pieces of one byte in a few blocks', () => {
  const whole = bytes(300_000);
  const kept = gather(whole, () => 1);
  expect(kept.length).toBeLessThan(10);
  expect(Buffer.concat(kept).equals(whole)).toBe(true);
});

it('keeps large pieces as they came, and few blocks between them', () => {
  const whole = bytes(4_000_000);
  const kept = gather(whole, (piece) => (piece % 2 ? 40_000 : 10));
  expect(Buffer.concat(kept).equals(whole)).toBe(true);
  const ofBlocks = kept.filter(({ byteLength }) => byteLength < 40_000 && byteLength > 0);
  expect(new Set(ofBlocks.slice(1, -1).map(({ buffer }) => buffer)).size).toBe(1);
});

it('loses nothing and mixes nothing up, whatever the pieces', () => {
  const random = numbersFrom(7);
  const whole = bytes(2_000_000);
  const kept = gather(whole, () => Math.floor(random() ** 4 * 70_000) + 1);
  expect(Buffer.concat(kept).equals(whole)).toBe(true);
});
