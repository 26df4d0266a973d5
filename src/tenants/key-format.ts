import { crc32 } from 'node:zlib';
import { randomText } from './random-text.ts';

/**
 * An API key reads `fov_<shortId>_<secret><crc>`. The short id (8 characters) is what the key is found by and may be shown
 * to anyone; the secret (43 characters, 256 bits) is shown once. The CRC-32 of all before it, 8 lower-case hex digits,
 * protects nothing: it lets a mistyped key be refused without a look-up, and a scanner recognise a leaked one.
 */
export interface ApiKeyParts {
  readonly shortId: string;
  readonly secret: string;
}

export const apiKeyPrefix = 'fov_';

const form = /^fov_([A-Za-z0-9]{8})_([A-Za-z0-9]{43})([0-9a-f]{8})$/;
const checksumLength = 8;

export function generateApiKey(): ApiKeyParts & { readonly text: string } {
  const shortId = randomText(8);
  const secret = randomText(43);
  const body = `${apiKeyPrefix}${shortId}_${secret}`;
  return { shortId, secret, text: body + checksum(body) };
}

/** The parts of a well-formed key, or null. */
export function parseApiKey(text: string): ApiKeyParts | null {
  const match = form.exec(text);
  if (match === null || checksum(text.slice(0, -checksumLength)) !== match[3]) return null;
  return { shortId: match[1]!, secret: match[2]! };
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(checksumLength, '0');
}
