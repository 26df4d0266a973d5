import { FadingLine } from './fading-line.ts';
import { recentVariants } from './recent-variants.ts';

/** What a run weighs after the next one: some 60 runs back it no longer counts. */
const FADING = 0.95;

/** Compute time by variant, learned from the batches that ran: a share of every image, and one of every batch. */
export class ComputeEstimate {
  readonly #lines = recentVariants<FadingLine>();

  learn(variantKey: string, images: number, computeMs: number): void {
    let line = this.#lines.get(variantKey);
    if (!line) {
      line = new FadingLine();
      this.#lines.set(variantKey, line);
    }
    line.add(images, computeMs, FADING);
  }

  /** null: the variant has not run yet. */
  batchMs(variantKey: string, images: number): number | null {
    return this.#lines.get(variantKey)?.at(images) ?? null;
  }
}
