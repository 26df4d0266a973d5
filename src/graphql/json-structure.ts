import { BadUserInputError } from '../lib/errors.ts';

/**
 * Structural characters of a request at most: a request of 32 images has some hundreds. `JSON.parse` makes 64 MB of `{},{},…`
 * into gigabytes of objects and holds everybody else up for many seconds meanwhile; this many take some milliseconds.
 */
export const MAX_STRUCTURE = 100_000;

const quote = 0x22;
const backslash = 0x5c;
const structural = new Uint8Array(256);
for (const character of '{[,:') structural[character.charCodeAt(0)] = 1;

/**
 * Refuses JSON of more values than any request needs, before it is parsed. What is no JSON may pass: the parser stops at it.
 * Throws BadUserInputError.
 */
export function requireFewValues(json: Uint8Array): void {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
  let found = 0;
  const count = (more: number) => {
    found += more;
    if (found > MAX_STRUCTURE) {
      throw new BadUserInputError(
        `The body has more than ${MAX_STRUCTURE} values, names and escaped quotes: send less in one request.`,
      );
    }
  };
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    if (byte !== quote) {
      if (structural[byte] === 1) count(1);
      continue;
    }
    // Skipped by searching: it may be an image of many megabytes. Each step counts, or escaped quotes could make millions of them.
    do {
      count(1);
      at = bytes.indexOf(quote, at + 1);
      if (at === -1) return;
    } while (isEscaped(bytes, at));
  }
}

/** Behind an odd number of backslashes. */
function isEscaped(bytes: Uint8Array, at: number): boolean {
  let backslashes = 0;
  while (bytes[at - 1 - backslashes] === backslash) backslashes += 1;
  return backslashes % 2 === 1;
}
