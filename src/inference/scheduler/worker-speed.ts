import { FadingLine } from './fading-line.ts';
import { recentVariants } from './recent-variants.ts';

/** What a batch weighs after the next one: a worker that becomes slow or fast is known for it some ten batches later. */
const FADING = 0.8;
/** What was measured counts for half after so much time, in which so many batches were sent to any worker. */
const HALF_LIFE = { ms: 2_000, batches: 16 };

/** When something was measured: on the clock of `Clock.elapsed`, and in batches sent to any worker. */
export interface Moment {
  readonly elapsed: number;
  readonly batches: number;
}

/**
 * How long a worker is taken up by a batch, by variant: the whole way there and back, so that a slow network, other clients of
 * the worker and a throttled processor are seen as well. What was measured of a slow worker fades, towards the fastest: it is
 * then tried again, with one batch, and is slow again or is not. It fades with time, so that a busy pool pays for that only
 * every few seconds, and with batches, so that one that idles does not pay for it with every other.
 */
export class WorkerSpeed {
  readonly #measured = recentVariants<{ readonly line: FadingLine; at: Moment }>();

  learn(variantKey: string, images: number, ms: number, at: Moment): void {
    const known = this.#measured.get(variantKey) ?? { line: new FadingLine(), at };
    known.line.add(images, ms, FADING * freshness(known.at, at));
    known.at = at;
    this.#measured.set(variantKey, known);
  }

  /** Milliseconds as they were measured; null: the variant has not run there. */
  measuredMs(variantKey: string, images: number): number | null {
    return this.#measured.get(variantKey)?.line.at(images) ?? null;
  }

  /** Milliseconds to reckon with now. `fastest`: as measured of the fastest worker. */
  expectedMs(variantKey: string, images: number, fastest: number, now: Moment): number {
    const known = this.#measured.get(variantKey);
    if (!known) return fastest;
    return fastest + (known.line.at(images) - fastest) * freshness(known.at, now);
  }
}

function freshness(then: Moment, now: Moment): number {
  const halvings = Math.min(
    (now.elapsed - then.elapsed) / HALF_LIFE.ms,
    (now.batches - then.batches) / HALF_LIFE.batches,
  );
  return 0.5 ** halvings;
}
