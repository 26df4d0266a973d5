/**
 * Prices are decimal numbers of cents with up to twelve places, amounts whole cents. Both are computed in whole numbers: a
 * binary fraction would not hold 0.005 and bills would depend on the order of additions.
 */
const places = 12;
const scale = 10n ** BigInt(places);

/** Cents × 10^12. Throws RangeError for what is not a plain decimal number of at most twelve places. */
export function parseCents(decimal: string): bigint {
  const match = /^(\d+)(?:\.(\d{1,12}))?$/.exec(decimal);
  if (!match) {
    throw new RangeError(
      `The price is "${decimal}", expected cents as a plain decimal number of at most ${places} places.`,
    );
  }
  const [, whole = '', fraction = ''] = match;
  return BigInt(whole) * scale + BigInt(fraction.padEnd(places, '0'));
}

/** The shortest decimal number for cents × 10^12. */
export function formatCents(scaled: bigint): string {
  const fraction = (scaled % scale).toString().padStart(places, '0').replace(/0+$/, '');
  return fraction ? `${scaled / scale}.${fraction}` : `${scaled / scale}`;
}

/** Whole cents for `units` at a scaled price each: exact, then rounded once, half a cent up. */
export function amountOf(units: bigint, scaledPrice: bigint): bigint {
  return (units * scaledPrice + scale / 2n) / scale;
}
