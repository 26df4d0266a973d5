import { BadUserInputError } from '../lib/errors.ts';

/** What a client said of its file before it sent it. */
export interface DeclaredFile {
  /** One of `contentTypes`. */
  readonly contentType: string;
  /** 1..`maxUploadBytes`. */
  readonly bytes: number;
  /** null: not said. */
  readonly sha256: Uint8Array<ArrayBuffer> | null;
}

/** The same as it came in. */
export interface Declaration {
  readonly contentType: string;
  readonly bytes: bigint;
  /** In hexadecimal digits. */
  readonly sha256: string | null;
}

/** Of the formats that pictures are read in. */
export const contentTypes: readonly string[] = [
  'image/jpeg',
  'image/png',
  'image/webp',
  'image/avif',
  'image/gif',
  'image/tiff',
];

/** As much as of a picture in base64 or behind a URL. */
export const maxUploadBytes = 20_000_000;

/** @throws BadUserInputError that names the field, what was found and what is wanted */
export function declaredFile({ contentType, bytes, sha256 }: Declaration): DeclaredFile {
  const type = contentType.trim().toLowerCase();
  if (!contentTypes.includes(type)) {
    throw new BadUserInputError(
      `input.contentType: found ${JSON.stringify(contentType.slice(0, 100))}, wanted one of ${contentTypes.join(', ')}.`,
    );
  }
  if (bytes < 1n || bytes > maxUploadBytes) {
    throw new BadUserInputError(`input.bytes: found ${bytes}, wanted 1 to ${maxUploadBytes}.`);
  }
  if (sha256 !== null && !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw new BadUserInputError(
      `input.sha256: found ${sha256.length} characters, wanted the file's SHA-256 in 64 hexadecimal digits.`,
    );
  }
  return {
    contentType: type,
    bytes: Number(bytes),
    sha256: sha256 === null ? null : new Uint8Array(Buffer.from(sha256, 'hex')),
  };
}
