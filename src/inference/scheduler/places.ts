import { MAX_IMAGES } from '../validate.ts';
import type { Variant } from '../variant.ts';

/** Pixels that one place has room for: those of 295 × 295. */
const PLACE_BYTES = 256 * 2 ** 10;

/** Places that one image of a variant takes once it is decoded. */
export function placesEach({ input: { width, height } }: Pick<Variant, 'input'>): number {
  return Math.ceil((width * height * 3) / PLACE_BYTES);
}

/** Images of one size that want in. */
export interface Demand {
  readonly tenant: string;
  readonly images: number;
  readonly placesEach: number;
}

export interface Shortage {
  /** `full`: all places are taken · `share`: the tenant has its share of them. */
  readonly reason: 'full' | 'share';
  /** So many of the images that are there, or of the tenant's own, have to leave first. */
  readonly images: number;
}

interface Held {
  readonly images: number;
  readonly places: number;
}

const nothing: Held = { images: 0, places: 0 };

/**
 * Who has how much of the memory that decoded images may take. A tenant may have as many places as are still free (dynamic
 * thresholds: Choudhury, Hahne, IEEE/ACM Transactions on Networking 1998): one can take half of them, and n that flood leave
 * 1/(n+1) for whoever comes; but always, while they are free, those of one request. No request counts for more than half of all, so
 * one of very large images is not kept waiting until there is nothing else.
 */
export class Places {
  readonly #capacity: number;
  readonly #held = new Map<string, Held>();
  #all = nothing;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get images(): number {
    return this.#all.images;
  }

  imagesOf(tenant: string): number {
    return this.#heldBy(tenant).images;
  }

  /** null: there is room. */
  shortageFor(demand: Demand): Shortage | null {
    const wanted = this.#wanted(demand);
    const free = this.#capacity - this.#all.places;
    if (wanted > free)
      return { reason: 'full', images: ((wanted - free) * this.#all.images) / this.#all.places };
    const own = this.#heldBy(demand.tenant);
    const imagesPerPlace = own.places === 0 ? 1 : own.images / own.places;
    const beyondOneRequest = Math.max(
      own.images + demand.images - MAX_IMAGES,
      (own.places + wanted - this.#largest) * imagesPerPlace,
    );
    const shareLimit = free - wanted;
    const beyondShare = (own.places + wanted - shareLimit) * imagesPerPlace;
    const images = Math.min(beyondOneRequest, beyondShare);
    return images > 0 ? { reason: 'share', images } : null;
  }

  /** Answers what gives them back. */
  take(demand: Demand): () => void {
    const { tenant, images } = demand;
    const places = this.#wanted(demand);
    this.#add(tenant, { images, places });
    return () => this.#add(tenant, { images: -images, places: -places });
  }

  get #largest(): number {
    return Math.max(MAX_IMAGES, Math.floor(this.#capacity / 2));
  }

  #wanted({ images, placesEach }: Demand): number {
    return Math.min(images * placesEach, this.#largest);
  }

  #heldBy(tenant: string): Held {
    return this.#held.get(tenant) ?? nothing;
  }

  #add(tenant: string, more: Held): void {
    this.#all = sum(this.#all, more);
    const own = sum(this.#heldBy(tenant), more);
    if (own.images > 0) this.#held.set(tenant, own);
    else this.#held.delete(tenant);
  }
}

function sum(a: Held, b: Held): Held {
  return { images: a.images + b.images, places: a.places + b.places };
}
