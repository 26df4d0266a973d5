import { sharp } from '../../src/inference/images/libvips.ts';

/** A picture of one colour. */
export async function plainPicture(
  [r, g, b]: readonly [number, number, number],
  { width, height } = { width: 64, height: 64 },
): Promise<{ base64: string }> {
  const plain = { width, height, channels: 3 as const, background: { r, g, b } };
  return { base64: (await sharp({ create: plain }).png().toBuffer()).toString('base64') };
}
