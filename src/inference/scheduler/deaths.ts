import type { Flight, Lane } from './lane.ts';

/** A worker that went away. */
export interface Death {
  /** All that happen are counted up. */
  readonly number: number;
  /** The first of those that happened lately. */
  readonly firstLately: number;
}

/** What happened so long ago has nothing to do with what happens now, milliseconds. */
const LATELY_MS = 30_000;

/** Workers that went away with what they had. */
export class Deaths {
  #count = 0;
  /** When the latest of them were. */
  #lately: readonly number[] = [];
  readonly #of = new WeakMap<Flight, number>();

  /** The one that `flight` was lost by; what else its worker had was lost by the same. */
  under(flight: Flight, { flights }: Pick<Lane, 'flights'>, now: number): Death {
    if (!this.#of.has(flight)) {
      this.#count += 1;
      this.#lately = [...this.#lately.filter((at) => now - at < LATELY_MS), now];
      for (const lost of flights) this.#of.set(lost, this.#count);
    }
    return { number: this.#of.get(flight)!, firstLately: this.#count - this.#lately.length + 1 };
  }
}
