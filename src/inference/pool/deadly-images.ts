import { createHash } from 'node:crypto';
import { type Clock, systemClock } from '../../lib/clock.ts';

/** So long one is not run again, and so many are remembered. */
const REFUSED_MS = 5 * 60_000;
const MOST = 1_000;
/** Of so many workers that crashed or hung under it alone an image is what they died of. */
const ENOUGH_BROKEN = 2;

interface DeadlyImage {
  readonly variantKey: string;
  readonly digest: string;
  readonly until: number;
  /** Workers that are known to have broken under it, and it alone; `ENOUGH_BROKEN` where it is known otherwise. */
  readonly broken: number;
}

/**
 * Images that workers died of, known since they had nothing else. One costs two or three deaths to be found: whoever sent it
 * time and again would have workers die time and again, also where each of its requests is over before it is found. Whose it is does
 * not matter: it is the variant that cannot bear it.
 */
export class DeadlyImages {
  readonly #clock: Clock;
  #known: readonly DeadlyImage[] = [];

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Workers died of it. `pixels`: as the variant takes them. */
  add(variantKey: string, pixels: Uint8Array): void {
    this.#remember(variantKey, pixels, () => ENOUGH_BROKEN);
  }

  /** A worker broke that had nothing else. Answers whether it is known by now that it was this image. */
  broke(variantKey: string, pixels: Uint8Array): boolean {
    return this.#remember(variantKey, pixels, (before) => before + 1) >= ENOUGH_BROKEN;
  }

  /** A worker ran it and lives: what broke under it before was chance. */
  answered(variantKey: string, pixels: Uint8Array): void {
    if (!this.#known.some((image) => image.variantKey === variantKey)) return;
    const digest = digestOf(pixels);
    this.#known = this.#known.filter((image) => image.variantKey !== variantKey || image.digest !== digest);
  }

  /** Whether an equal one was found lately. Nothing is hashed for a variant of which none was. */
  has(variantKey: string, pixels: Uint8Array): boolean {
    const now = this.#clock.elapsed();
    const ofVariant = this.#known.filter((image) => {
      return image.variantKey === variantKey && image.until > now && image.broken >= ENOUGH_BROKEN;
    });
    if (ofVariant.length === 0) return false;
    const digest = digestOf(pixels);
    return ofVariant.some((image) => image.digest === digest);
  }

  #remember(variantKey: string, pixels: Uint8Array, count: (before: number) => number): number {
    const now = this.#clock.elapsed();
    const digest = digestOf(pixels);
    const isSame = (image: DeadlyImage) => image.variantKey === variantKey && image.digest === digest;
    const known = this.#known.filter(({ until }) => until > now);
    const broken = count(known.find(isSame)?.broken ?? 0);
    const image = { variantKey, digest, until: now + REFUSED_MS, broken };
    this.#known = [...known.filter((each) => !isSame(each)), image].slice(-MOST);
    return broken;
  }
}

export function digestOf(pixels: Uint8Array): string {
  return createHash('sha256').update(pixels).digest('base64url');
}
