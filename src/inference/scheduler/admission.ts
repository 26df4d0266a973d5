import { OverloadedError } from '../../lib/errors.ts';
import { MAX_IMAGES } from '../validate.ts';

/** Places for images that are admitted and not yet answered. */
export class Admission {
  readonly #most: number;
  readonly #drainMs: (images: number) => number;
  readonly #of = new Map<string, number>();
  #admitted = 0;

  /** `drainMs`: the time after which so many more images are answered. */
  constructor(most: number, drainMs: (images: number) => number) {
    this.#most = most;
    this.#drainMs = drainMs;
  }

  get admitted(): number {
    return this.#admitted;
  }

  /**
   * Takes places for `images` images of a tenant, before any of them is decoded. No tenant has more than half of all: what
   * comes slowly, such as pictures fetched from a slow host, would keep everybody else out.
   *
   * @returns gives the places back; called once
   * @throws OverloadedError with the time after which as many places should be free
   */
  admit(tenant: string, images: number): () => void {
    const own = this.#of.get(tenant) ?? 0;
    const ownLimit = Math.max(MAX_IMAGES, Math.floor(this.#most / 2));
    const excess = Math.max(this.#admitted + images - this.#most, own + images - ownLimit);
    if (excess > 0) {
      const full =
        own + images > ownLimit
          ? `You have ${own} images waiting or running, and ${ownLimit} are the most.`
          : 'The queue is full.';
      // How full it is for others is nobody's business.
      throw new OverloadedError(`${full} Try again later.`, { retryAfterMs: this.#drainMs(excess) });
    }
    this.#take(tenant, images);
    return () => this.#take(tenant, -images);
  }

  #take(tenant: string, places: number): void {
    this.#admitted += places;
    const own = (this.#of.get(tenant) ?? 0) + places;
    if (own === 0) this.#of.delete(tenant);
    else this.#of.set(tenant, own);
  }
}
