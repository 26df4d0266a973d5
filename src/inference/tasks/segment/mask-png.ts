import type { Size } from '../../images/geometry.ts';

export function maskPng(_rle: string, { width, height }: Size): Uint8Array {
  throw new Error(`no mask of ${width} × ${height} is drawn yet`);
}
