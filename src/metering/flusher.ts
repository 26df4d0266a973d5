import { setImmediate } from 'node:timers/promises';
import { mayBeOfOneRow } from './failures.ts';
import { persist } from './persist.ts';

export interface FlusherOptions<Item, Outcome> {
  /**
   * Does the work of all `items` in one transaction and answers in their order. `again`: an earlier attempt at the same
   * items broke off, and may have been carried out.
   */
  flush(items: readonly Item[], again: boolean): Promise<Outcome[]>;
  /** No two items that share one of these names go into one flush: the later one waits for the next and meets the first's result. */
  names(item: Item): readonly string[];
  /** What it adds to the statement, in characters. */
  sizeOf(item: Item): number;
  /** For how long a flush is tried again while the database is away. */
  patienceMs: number;
}

interface Waiting<Item, Outcome> {
  readonly item: Item;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/** One statement carries so many at most, so that none runs for long, and so much text: kept answers may hold masks. */
const mostItems = 500;
const mostCharacters = 8_000_000;

/**
 * Group commit: whatever waits goes into one statement, and so shares one round trip and one fsync; what comes while it is on
 * its way forms the next. A lone item leaves at once. One flush at a time: a second in parallel would wait for the same
 * counters' locks and only make both batches smaller.
 */
export class Flusher<Item, Outcome> {
  readonly #options: FlusherOptions<Item, Outcome>;
  #waiting: Waiting<Item, Outcome>[] = [];
  #draining: Promise<void> | null = null;
  #closed = false;

  constructor(options: FlusherOptions<Item, Outcome>) {
    this.#options = options;
  }

  submit(item: Item): Promise<Outcome> {
    if (this.#closed) return Promise.reject(new Error('The ledger is closed: nothing more can be booked.'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Takes nothing more, and resolves when everyone who waits has an answer. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
  }

  async #drain(): Promise<void> {
    // Lets those who submit in the same turn of the event loop ride along, as the images of one batch do.
    await setImmediate();
    while (this.#waiting.length > 0) await this.#settle(this.#nextBatch(), false);
    this.#draining = null;
  }

  #nextBatch(): Waiting<Item, Outcome>[] {
    const batch: Waiting<Item, Outcome>[] = [];
    const later: Waiting<Item, Outcome>[] = [];
    const taken = new Set<string>();
    let characters = 0;
    for (const waiting of this.#waiting) {
      const names = this.#options.names(waiting.item);
      characters += this.#options.sizeOf(waiting.item);
      const full = batch.length === mostItems || (batch.length > 0 && characters > mostCharacters);
      if (full || names.some((name) => taken.has(name))) later.push(waiting);
      else batch.push(waiting);
      // The names of those who wait count too: a third with the same name must not overtake the second.
      for (const name of names) taken.add(name);
    }
    this.#waiting = later;
    return batch;
  }

  /** Sees to it that each of `batch` gets an answer; never throws. `again` as in `flush`. */
  async #settle(batch: readonly Waiting<Item, Outcome>[], again: boolean): Promise<void> {
    const items = batch.map(({ item }) => item);
    let brokeOff = again;
    try {
      const outcomes = await persist(this.#options.patienceMs, (retried) => {
        brokeOff ||= retried;
        return this.#options.flush(items, brokeOff);
      });
      for (const [index, { resolve }] of batch.entries()) resolve(outcomes[index] as Outcome);
    } catch (error) {
      if (batch.length === 1 || !mayBeOfOneRow(error)) {
        for (const { reject } of batch) reject(error);
      } else {
        // One row spoils the statement for all. It is found by halves, in some twenty statements of 500 rows rather than 500, and
        // its sender alone learns of it.
        const half = Math.ceil(batch.length / 2);
        await this.#settle(batch.slice(0, half), brokeOff);
        await this.#settle(batch.slice(half), brokeOff);
      }
    }
  }
}
