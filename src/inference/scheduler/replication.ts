import type { Lane } from './lane.ts';

/** A variant that is to be loaded by one worker more. */
export interface Replica {
  readonly key: string;
  readonly lane: Lane;
}

/** Milliseconds to reckon with where no load was measured. */
const UNKNOWN_LOAD_MS = 5_000;
/** However soon it is loaded, memory has its price: less waiting is a moment's rush. */
const LEAST_WAIT_MS = 1_000;
/** A time in which nothing of a variant waited makes up for this part of one in which something did. */
const RELIEF = 0.5;

/**
 * Decides when a variant is worth another worker's memory: once its images have waited, while all that hold it were full and
 * another worker had nothing to do, for as long as loading it takes. That is at most twice the waiting that could have been
 * spared by knowing beforehand (as with renting skis until one has paid their price: Karlin and others, 1988). Pauses count
 * against it, so that a moment's rush now and then is none.
 */
export class Replication {
  readonly #loadMs: (variantKey: string) => number | null;
  readonly #waitedMs = new Map<string, number>();

  /** `loadMs`: how long the variant took to load last, null: not known. */
  constructor(loadMs: (variantKey: string) => number | null) {
    this.#loadMs = loadMs;
  }

  /** `ms` have passed; `waiting` are the variants of which images wait now. */
  passed(ms: number, waiting: ReadonlySet<string>, lanes: readonly Lane[]): Replica[] {
    for (const [key, waited] of this.#waitedMs) {
      if (waiting.has(key)) continue;
      if (waited > RELIEF * ms) this.#waitedMs.set(key, waited - RELIEF * ms);
      else this.#waitedMs.delete(key);
    }
    const replicas: Replica[] = [];
    const idle = lanes.filter(
      (lane) => lane.isReady && lane.flights.size === 0 && !lane.worker.loads.underWay,
    );
    for (const key of waiting) {
      const holders = lanes.filter(({ isReady, worker }) => isReady && worker.holds(key));
      const others = idle.filter(
        ({ worker }) => !worker.holds(key) && !worker.refuses(key) && !worker.isSilent,
      );
      const [lane] = others.toSorted((a, b) => (b.worker.freeBytes ?? 0) - (a.worker.freeBytes ?? 0));
      if (!lane || holders.length === 0 || holders.some(({ isBusy }) => !isBusy)) continue;
      const waited = (this.#waitedMs.get(key) ?? 0) + ms;
      this.#waitedMs.set(key, waited);
      if (waited < Math.max(LEAST_WAIT_MS, this.#loadMs(key) ?? UNKNOWN_LOAD_MS)) continue;
      this.#waitedMs.delete(key);
      idle.splice(idle.indexOf(lane), 1);
      replicas.push({ key, lane });
    }
    return replicas;
  }
}
