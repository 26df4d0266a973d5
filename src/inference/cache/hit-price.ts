/**
 * Units for an image that was answered without a run of its own.
 *
 * @param unitsPerImage of one that was run
 * @param share of it, 0..1, at most six decimals
 * @returns whole units, a fraction rounded up
 */
export function hitPrice(unitsPerImage: number, share: number): number {
  // In whole millionths: 0.07 · 100 is more than 7 in binary fractions, and would be rounded to 8.
  return Math.ceil((unitsPerImage * Math.round(share * 1e6)) / 1e6);
}
