import { createHash, timingSafeEqual } from 'node:crypto';

/**
 * What is stored of a secret that Fovea made up. One round of SHA-256 is enough for 256 random bits, which nobody can guess
 * their way through, and costs a microsecond on each request; a password gets argon2id (see passwords.ts).
 */
export function sha256(secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(secret).digest());
}

const nothing = new Uint8Array(32);

/** Compares in constant time; a missing `stored` takes as long as a wrong one. */
export function isSecret(presented: string, stored: Uint8Array | undefined): boolean {
  return timingSafeEqual(sha256(presented), stored ?? nothing) && stored !== undefined;
}
