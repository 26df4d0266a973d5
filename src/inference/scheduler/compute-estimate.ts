/** What a run weighs after the next one: some 60 runs back it no longer counts. */
const FADING = 0.95;

/** Compute time by variant, learned from the batches that ran: a share of every image, and one of every batch. */
export class ComputeEstimate {
  readonly #lines = new Map<string, FadingLine>();
  #lastMsPerImage = 10;

  learn(variantKey: string, images: number, computeMs: number): void {
    let line = this.#lines.get(variantKey);
    if (!line) {
      line = new FadingLine();
      this.#lines.set(variantKey, line);
    }
    line.add(images, computeMs, FADING);
    this.#lastMsPerImage = line.at(images) / images;
  }

  /** null: the variant has not run yet. */
  batchMs(variantKey: string, images: number): number | null {
    return this.#lines.get(variantKey)?.at(images) ?? null;
  }

  /** The time in which `images` images of what runs at present are done. */
  drainMs(images: number): number {
    return Math.max(1, Math.ceil(this.#lastMsPerImage * images));
  }
}

/**
 * The line `y = a·x + b` through points with x above 0, by least squares in which older points fade. Neither a nor b is
 * below 0; where all points have the same x, b is 0.
 */
export class FadingLine {
  #weight = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  /** `fading`: what all points before weigh from now on, of what they did. */
  add(x: number, y: number, fading: number): void {
    this.#weight = fading * this.#weight + 1;
    this.#x = fading * this.#x + x;
    this.#y = fading * this.#y + y;
    this.#xx = fading * this.#xx + x * x;
    this.#xy = fading * this.#xy + x * y;
  }

  at(x: number): number {
    const spread = this.#weight * this.#xx - this.#x * this.#x;
    const throughOrigin = this.#xy / this.#xx;
    // What rounding leaves of no spread at all is no slope.
    if (spread <= 1e-6 * this.#x * this.#x) return throughOrigin * x;
    const slope = (this.#weight * this.#xy - this.#x * this.#y) / spread;
    const base = (this.#y - slope * this.#x) / this.#weight;
    if (base < 0) return throughOrigin * x;
    return slope < 0 ? this.#y / this.#weight : slope * x + base;
  }
}
