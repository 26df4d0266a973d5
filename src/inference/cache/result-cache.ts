import { setImmediate as nextTurn } from 'node:timers/promises';
import { orAborted } from '../../lib/or-aborted.ts';
import { ImageError } from '../images/image-error.ts';
import type { Priority } from '../request.ts';
import { BoundedStore } from './bounded-store.ts';
import { heapBytes } from './heap-bytes.ts';
import { type Computed, Run } from './run.ts';

/** A request with an image to be answered. */
export interface Asker {
  readonly tenantId: string;
  readonly priority: Priority;
  /** Aborted when nobody waits for its answer any more. */
  readonly signal: AbortSignal;
  /** Settles when it has been answered, or has failed. */
  readonly over: Promise<unknown>;
}

export interface Answered<Result> {
  /** null: there is no cache. */
  readonly key: string | null;
  readonly run: Run<Result>;
  /** Milliseconds spent on waiting for somebody else's run; null: it was run for this image. */
  readonly waitedMs: number | null;
}

/** How a leader's run ended: its answer, what failed the image, or null: the leader failed, which says nothing of the image. */
type Outcome = Run<unknown> | ImageError | null;

/** Images of one key of which one, the leader's, is run. */
interface Flight {
  readonly priority: Priority;
  readonly outcome: Promise<Outcome>;
  isAnswered: boolean;
}

/** What an entry takes beside the result: its key, its run, and its places in the store's lists. */
const ENTRY_BYTES = 450;

/**
 * Answers of a tenant to images that it sends again. What is kept are results, and not what the model answered, which would be
 * good for any parameter: a result is a few hundred bytes where the tensors are up to tens of megabytes, and takes no reading.
 *
 * Images of one key that are in flight are run once. Each follower waits for as long as its own request does; where the leader
 * goes away or cannot be served, the first of its followers leads. INTERACTIVE images do not wait for BATCH ones, which may
 * be queued for long: they are run beside them.
 *
 * Kept is what was booked alone (`keep`). Otherwise a client could have images run by requests that it lets fail, unbilled,
 * and fetch the answers as hits.
 */
export class ResultCache {
  readonly #kept: BoundedStore<Run<unknown>>;
  readonly #flights = new Map<string, Flight>();
  #hits = 0;
  #misses = 0;
  #followers = 0;
  #waiting = 0;

  /** `bytes`: of the heap, at most. */
  constructor(bytes: number) {
    this.#kept = new BoundedStore(bytes);
  }

  /**
   * Images since the process began: `hits` were answered from what is kept, `followers` from another's run, `misses` were run.
   * `waiting`: those that wait for another's run now.
   */
  get stats() {
    const { size: entries, bytes } = this.#kept;
    const counts = { hits: this.#hits, misses: this.#misses, followers: this.#followers };
    return { entries, bytes, ...counts, waiting: this.#waiting };
  }

  /**
   * @param key made by `resultKey`, hence of this tenant and this kind of result
   * @param compute runs the model on the image for this request
   * @throws ImageError where the image failed; for a leader, what `compute` throws; for a follower, its signal's reason
   */
  async answer<Result>(
    asker: Asker,
    key: string,
    compute: () => Promise<Computed<Result>>,
  ): Promise<Answered<Result>> {
    const from = performance.now();
    const found = (run: Run<unknown>) => ({
      key,
      run: run as Run<Result>,
      waitedMs: performance.now() - from,
    });
    for (;;) {
      const kept = this.#kept.get(key);
      if (kept) {
        this.#hits += 1;
        return found(kept);
      }
      const flight = this.#flights.get(key);
      const isFollowed = flight && (flight.isAnswered || !yields(flight.priority, asker.priority));
      if (!isFollowed) return { key, run: await this.#lead(asker, key, compute), waitedMs: null };
      this.#waiting += 1;
      const outcome = await orAborted(flight.outcome, asker.signal).finally(() => {
        this.#waiting -= 1;
      });
      if (outcome === null) continue;
      this.#followers += 1;
      if (outcome instanceof ImageError) throw outcome;
      // The leader goes first to the booking where this was its only image, and so is the one that pays.
      await nextTurn();
      return found(outcome);
    }
  }

  /** The run was booked. */
  keep(tenantId: string, { key, run }: Answered<unknown>): void {
    if (key === null) return;
    this.#kept.set(tenantId, key, run, ENTRY_BYTES + heapBytes(run.computed.result));
  }

  async #lead<Result>(
    { priority, over }: Asker,
    key: string,
    compute: () => Promise<Computed<Result>>,
  ): Promise<Run<Result>> {
    const { promise: outcome, resolve: settle } = Promise.withResolvers<Outcome>();
    const flight: Flight = { priority, outcome, isAnswered: false };
    const end = () => {
      // One that is more urgent may have taken its place.
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    this.#flights.set(key, flight);
    this.#misses += 1;
    try {
      const run = new Run(await compute());
      flight.isAnswered = true;
      settle(run);
      // Until then it is not kept yet: who comes meanwhile shares it all the same.
      void over.then(end, end);
      return run;
    } catch (error) {
      end();
      settle(error instanceof ImageError ? error : null);
      throw error;
    }
  }
}

function yields(leader: Priority, follower: Priority): boolean {
  return leader === 'BATCH' && follower === 'INTERACTIVE';
}
