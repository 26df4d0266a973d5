import { MAX_IMAGES } from '../validate.ts';
import type { Variant } from '../variant.ts';

/** Pixels that one place has room for: those of 295 × 295. */
const PLACE_BYTES = 256 * 2 ** 10;

/** What an image of a variant takes, once it is decoded. */
export function placesOf({ input: { width, height } }: Pick<Variant, 'input'>): number {
  return Math.ceil((width * height * 3) / PLACE_BYTES);
}

/** Images of one size that want in. */
export interface Party {
  readonly tenant: string;
  readonly images: number;
  /** Of each. */
  readonly places: number;
}

export interface Shortage {
  /** `full`: all places are taken · `share`: the tenant has its share of them. */
  readonly reason: 'full' | 'share';
  /** So many images of the size that is wanted have to leave first. */
  readonly images: number;
}

/**
 * Who has how much of the memory that waiting images may take. A tenant may have as many places as are still free (dynamic
 * thresholds: Choudhury, Hahne, IEEE/ACM Transactions on Networking 1998): one can take half of them, and n that flood leave
 * 1/(n+1) for whoever comes. As many images as one request may have are nobody's too many while there is room, and what takes more
 * than all places has them for itself.
 */
export class Places {
  readonly #most: number;
  readonly #of = new Map<string, { images: number; places: number }>();
  #images = 0;
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get images(): number {
    return this.#images;
  }

  imagesOf(tenant: string): number {
    return this.#of.get(tenant)?.images ?? 0;
  }

  /** null: there is room. */
  shortageFor({ tenant, images, places }: Party): Shortage | null {
    const wanted = Math.min(images * places, this.#most);
    const free = this.#most - this.#taken;
    if (wanted > free) return { reason: 'full', images: (wanted - free) / places };
    const own = this.#of.get(tenant) ?? { images: 0, places: 0 };
    const beyondShare = (own.places + wanted - (free - wanted)) / places;
    const tooMany = Math.min(own.images + images - MAX_IMAGES, beyondShare);
    return tooMany > 0 ? { reason: 'share', images: tooMany } : null;
  }

  /** Answers what gives them back. */
  take({ tenant, images, places }: Party): () => void {
    const taken = Math.min(images * places, this.#most);
    this.#add(tenant, images, taken);
    return () => this.#add(tenant, -images, -taken);
  }

  #add(tenant: string, images: number, places: number): void {
    this.#images += images;
    this.#taken += places;
    const own = this.#of.get(tenant) ?? { images: 0, places: 0 };
    own.images += images;
    own.places += places;
    if (own.images > 0) this.#of.set(tenant, own);
    else this.#of.delete(tenant);
  }
}
