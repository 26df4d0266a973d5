/** The share of the newest measurement in the running mean. */
const NEWEST = 0.1;

/** Compute time by variant, learned from the batches that ran: a running mean of milliseconds an image. */
export class ComputeEstimate {
  readonly #msPerImage = new Map<string, number>();
  #lastMsPerImage = 10;

  learn(variantKey: string, images: number, computeMs: number): void {
    const measured = computeMs / images;
    const before = this.#msPerImage.get(variantKey);
    const mean = before === undefined ? measured : before + NEWEST * (measured - before);
    this.#msPerImage.set(variantKey, mean);
    this.#lastMsPerImage = mean;
  }

  /** null: the variant has not run yet. */
  batchMs(variantKey: string, images: number): number | null {
    const msPerImage = this.#msPerImage.get(variantKey);
    return msPerImage === undefined ? null : msPerImage * images;
  }

  /** The time in which `images` images of what runs at present are done. */
  drainMs(images: number): number {
    return Math.max(1, Math.ceil(this.#lastMsPerImage * images));
  }
}
