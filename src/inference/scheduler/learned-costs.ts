import { sizeThatPays } from './batch-size.ts';
import { FadingLine } from './fading-line.ts';
import { recentVariants } from './recent-variants.ts';
import type { BatchCosts } from './work.ts';

/** What a run weighs after the next one: some 60 runs back it no longer counts. */
const FADING = 0.95;
/** Of so many batches one may be as large as there are images for, or nobody would see that larger ones pay by now. */
const TRIED_EVERY = 20;
/** The fastest of so many runs is what a run takes at least. */
const REMEMBERED_RUNS = 16;
/** While nothing of a variant runs, what it took at least counts for half after so long: perhaps it is faster now. */
const HALF_LIFE_MS = 1_000;
/** No run costs nothing. */
const LEAST_MS = 0.001;
/** Until anything has run. */
const UNKNOWN_MS = 10;

interface Variant {
  readonly line: FadingLine;
  /** What single images would have taken in the last runs, milliseconds, and the least of that. */
  readonly lastMs: number[];
  fastestMs: number;
  runs: number;
  ranAt: number;
}

/** What batches cost, learned from those that ran: a share of every image, and one of every batch. */
export class LearnedCosts implements BatchCosts {
  readonly #variants = recentVariants<Variant>();
  #msPerImage = UNKNOWN_MS;

  /** `ms`: how long the batch took its device up. */
  learn(variantKey: string, images: number, ms: number, now: number): void {
    let known = this.#variants.get(variantKey);
    if (!known) {
      known = { line: new FadingLine(), lastMs: [], fastestMs: 0, runs: 0, ranAt: now };
      this.#variants.set(variantKey, known);
    }
    const { line, lastMs } = known;
    line.add(images, Math.max(LEAST_MS, ms), FADING);
    known.runs += 1;
    known.ranAt = now;
    lastMs.push((ms * line.at(1)) / line.at(images));
    if (lastMs.length > REMEMBERED_RUNS) lastMs.shift();
    known.fastestMs = Math.min(...lastMs);
    this.#msPerImage = line.at(images) / images;
  }

  forget(variantKey: string): void {
    this.#variants.delete(variantKey);
  }

  batchMs(variantKey: string, images: number): number {
    return this.#variants.get(variantKey)?.line.at(images) ?? this.#msPerImage * images;
  }

  soonestMs(variantKey: string, now: number): number {
    const known = this.#variants.get(variantKey);
    if (!known) return 0;
    return known.fastestMs * 0.5 ** (Math.max(0, now - known.ranAt) / HALF_LIFE_MS);
  }

  batchSize(variantKey: string, maxBatch: number): number {
    const known = this.#variants.get(variantKey);
    if (!known?.line.tellsSizesApart || known.runs % TRIED_EVERY === 0) return maxBatch;
    return sizeThatPays((images) => known.line.at(images), maxBatch);
  }
}
