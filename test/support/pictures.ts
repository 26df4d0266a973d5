import { readFileSync } from 'node:fs';
import { sharp } from '../../src/inference/images/libvips.ts';
import { readBitmap } from './bitmap.ts';

/** A picture's file as the API takes it; BMP, which it does not, becomes PNG without loss. */
export async function readPicture(path: string): Promise<{ base64: string }> {
  const file = readFileSync(path);
  const bytes = path.endsWith('.bmp') ? await bitmapToPng(file) : file;
  return { base64: bytes.toString('base64') };
}

function bitmapToPng(bitmap: Buffer): Promise<Buffer> {
  const { pixels, width, height } = readBitmap(bitmap);
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
