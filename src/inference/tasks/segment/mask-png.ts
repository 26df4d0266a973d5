import { crc32, deflateSync } from 'node:zlib';
import type { Size } from '../../images/geometry.ts';
import { decodeRle } from './rle.ts';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/**
 * A mask as a PNG of one bit a pixel, white where the object is. sharp writes none from fewer than eight bits a pixel.
 * @throws RangeError where `rle` is no mask of that size
 */
export function maskPng(rle: string, size: Size): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size.width, 0);
  header.writeUInt32BE(size.height, 4);
  // One bit a sample, grey; compression, filters and order are the standard's only or first ones.
  header.set([1, 0, 0, 0, 0], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(scanLines(rle, size))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Rows from the top, each after a byte that says it is not filtered; the leftmost pixel is a byte's highest bit. */
function scanLines(rle: string, size: Size): Uint8Array {
  const stride = 1 + Math.ceil(size.width / 8);
  const lines = new Uint8Array(stride * size.height);
  let from = 0;
  for (const [index, count] of decodeRle(rle, size).entries()) {
    if (index % 2 === 1) paint(lines, stride, size.height, from, from + count);
    from += count;
  }
  return lines;
}

/** Sets the bits of a run down the columns. */
function paint(lines: Uint8Array, stride: number, height: number, from: number, to: number): void {
  let x = Math.floor(from / height);
  let y = from - x * height;
  for (let left = to - from; left > 0; x++, y = 0) {
    const end = Math.min(height, y + left);
    left -= end - y;
    const bit = 0x80 >> (x & 7);
    const last = end * stride;
    for (let at = y * stride + 1 + (x >> 3); at < last; at += stride) lines[at] = lines[at]! | bit;
  }
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(12 + data.byteLength);
  bytes.writeUInt32BE(data.byteLength, 0);
  bytes.write(type, 4, 'latin1');
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.byteLength)), 8 + data.byteLength);
  return bytes;
}
