export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'gif' | 'tiff';

/**
 * The format by its magic bytes, or null for everything that is not served. Nothing reaches libvips without passing
 * here: a name or a content type is the sender's claim, and every further decoder is further attack surface.
 */
export function sniffFormat(bytes: Uint8Array): ImageFormat | null {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 256)).toString(
    'latin1',
  );
  if (head.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'gif';
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return 'webp';
  if (tiffSignatures.some((signature) => head.startsWith(signature))) return 'tiff';
  if (head.startsWith('ftyp', 4) && isStillAvif(head)) return 'avif';
  return null;
}

/** Little and big endian, each as classic TIFF and as BigTIFF. */
const tiffSignatures = ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'];

/**
 * HEIF is a container of many codecs, told apart by brands: a major one, then (after a version) compatible ones, four
 * bytes each. A sequence (`avis`) is refused: libvips does not read it.
 */
function isStillAvif(head: string): boolean {
  const boxLength = Buffer.from(head.slice(0, 4), 'latin1').readUInt32BE();
  const major = head.slice(8, 12);
  if (major === 'avif') return true;
  if (major !== 'mif1' && major !== 'miaf') return false;
  for (let at = 16; at + 4 <= Math.min(boxLength, head.length); at += 4) {
    if (head.startsWith('avif', at)) return true;
  }
  return false;
}
