import {
  FetchFailedError,
  FetchRefusedError,
  FetchTooLargeError,
  type SafeFetch,
} from '../../lib/safe-fetch.ts';
import { ImageError } from './image-error.ts';

export type ImageSource =
  | { readonly base64: string }
  | { readonly url: string }
  | { readonly uploadId: string };

/** Files that tenants brought beforehand. */
export interface UploadedFiles {
  /** null: there is none of that id which this tenant can read now. */
  read(tenantId: string, uploadId: string): Promise<Uint8Array | null>;
}

export interface SourceOptions {
  /** Whose uploads are read. */
  readonly tenantId: string;
  readonly signal: AbortSignal;
  readonly fetch: SafeFetch;
  readonly uploads: UploadedFiles;
}

/** Of an encoded picture. */
export const maxImageBytes = 20_000_000;

/**
 * The encoded bytes of a picture, wherever they come from.
 * @throws ImageError, or the signal's reason once it aborts
 */
export async function readSource(
  source: ImageSource,
  { tenantId, signal, fetch, uploads }: SourceOptions,
): Promise<Uint8Array> {
  if ('base64' in source) return decodeBase64(source.base64);
  if ('uploadId' in source) return readUpload(await uploads.read(tenantId, source.uploadId), signal);
  try {
    return await fetch.get(source.url, signal);
  } catch (error) {
    if (error instanceof FetchRefusedError) throw new ImageError('FORBIDDEN_URL', error.message);
    if (error instanceof FetchTooLargeError) throw new ImageError('IMAGE_TOO_LARGE', error.message);
    if (error instanceof FetchFailedError) throw new ImageError('FETCH_FAILED', error.message);
    throw error;
  }
}

/** An upload of another tenant reads as one that never was. */
function readUpload(bytes: Uint8Array | null, signal: AbortSignal): Uint8Array {
  signal.throwIfAborted();
  if (bytes !== null) return bytes;
  throw new ImageError(
    'FETCH_FAILED',
    'No upload with this id can be read: it was never created, its file has not been received yet, or it has expired.',
  );
}

/** Strict where Node is lenient: it skips what is not base64, and a picture with holes would be called corrupt at random. */
function decodeBase64(text: string): Uint8Array {
  if (text === '') throw new ImageError('CORRUPT_IMAGE', 'base64 is empty: send the bytes of a picture.');
  if (/^data:/i.test(text)) {
    throw new ImageError('CORRUPT_IMAGE', 'base64 holds a data: URL: send only what follows its comma.');
  }
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const length = Math.floor(text.length / 4) * 3 - padding;
  if (length > maxImageBytes) {
    throw new ImageError(
      'IMAGE_TOO_LARGE',
      `The picture has ${(length / 1e6).toFixed(1)} MB; at most ${maxImageBytes / 1e6} MB are read.`,
    );
  }
  const bytes = Buffer.from(text, 'base64');
  // What Node skipped is missing now; the URL-safe letters it would have taken as well.
  if (text.length % 4 !== 0 || bytes.byteLength !== length || text.includes('-') || text.includes('_')) {
    throw new ImageError(
      'CORRUPT_IMAGE',
      'base64 is not valid: it takes A–Z, a–z, 0–9, + and /, padded with = to a multiple of four, without line breaks.',
    );
  }
  return bytes;
}
