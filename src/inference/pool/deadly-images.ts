import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../../lib/clock.ts';

/** So long one is not run again, and so many are remembered. */
const REFUSED_MS = 5 * 60_000;
const MOST = 1_000;

interface DeadlyImage {
  readonly variantKey: string;
  readonly digest: string;
  readonly until: number;
}

/**
 * Images that workers died of, known since they had nothing else. One costs two or three deaths to be found: whoever sent it
 * time and again would have workers die time and again. Whose it is does not matter: it is the variant that cannot bear it.
 */
export class DeadlyImages {
  readonly #clock: Clock;
  #known: readonly DeadlyImage[] = [];

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** `pixels`: as the variant takes them. */
  add(variantKey: string, pixels: Uint8Array): void {
    const now = this.#clock.elapsed();
    const image = { variantKey, digest: digestOf(pixels), until: now + REFUSED_MS };
    this.#known = [...this.#known.filter(({ until }) => until > now), image].slice(-MOST);
  }

  /** Whether an equal one was found lately. Nothing is hashed for a variant of which none was. */
  has(variantKey: string, pixels: Uint8Array): boolean {
    const now = this.#clock.elapsed();
    const ofVariant = this.#known.filter((image) => image.variantKey === variantKey && image.until > now);
    if (ofVariant.length === 0) return false;
    const digest = digestOf(pixels);
    return ofVariant.some((image) => image.digest === digest);
  }
}

export function digestOf(pixels: Uint8Array): string {
  return createHash('sha256').update(pixels).digest('base64url');
}
