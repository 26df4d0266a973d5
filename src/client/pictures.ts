import type { ImageInput } from './generated/operations.ts';

/** A picture as its encoded bytes, or where the server finds it. */
export type Picture = Uint8Array | ArrayBuffer | Blob | ImageInput;

export function bytesOf(picture: Picture): Promise<Uint8Array> | Uint8Array | null {
  if (picture instanceof Uint8Array) return picture;
  if (picture instanceof ArrayBuffer) return new Uint8Array(picture);
  if (picture instanceof Blob) return picture.arrayBuffer().then((buffer) => new Uint8Array(buffer));
  return null;
}

/** In pieces: the arguments of one call have a limit. */
export function base64Of(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let from = 0; from < bytes.length; from += 0x2000) {
    pieces.push(String.fromCharCode(...bytes.subarray(from, from + 0x2000)));
  }
  return btoa(pieces.join(''));
}

/** By its first bytes; null where it is none of the formats that the server reads, which says so better than a guess. */
export function mediaTypeOf(bytes: Uint8Array): string | null {
  const head = String.fromCharCode(...bytes.subarray(0, 16));
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (head.startsWith('GIF8')) return 'image/gif';
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return 'image/webp';
  if (head.startsWith('II*\0') || head.startsWith('MM\0*')) return 'image/tiff';
  if (head.startsWith('ftypavi', 4)) return 'image/avif';
  return null;
}
