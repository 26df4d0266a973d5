import type { Logger } from '../../lib/logger.ts';
import type { FaultReason, WorkerFaultError } from '../oip/errors.ts';

/** How long a worker is given no work once it is ejected, milliseconds: at first, and at most. */
export interface Pauses {
  readonly first: number;
  readonly most: number;
}

/** Faults in a row after which it is ejected: one may be a broken connection's, or a proxy's that restarts. */
const MOST_IN_A_ROW = 3;
/** One that has been well for so long since its last pause begins with the shortest again. */
const FORGIVEN_MS = 60_000;
const SAID_AGAIN_MS = 60_000;

/** A worker's faults: counted, each kind told once a minute, and held against it where one follows the other. */
export class FaultRecord {
  readonly #logger: Logger;
  readonly #pauses: Pauses;
  readonly #counts = new Map<FaultReason, number>();
  readonly #saidAt = new Map<FaultReason, number>();
  #inARow = 0;
  #pauseMs = 0;
  /** On the clock of `performance`. */
  #ejectedUntil = Number.NEGATIVE_INFINITY;

  constructor(logger: Logger, pauses: Pauses = { first: 1_000, most: 30_000 }) {
    this.#logger = logger;
    this.#pauses = pauses;
  }

  get counts(): ReadonlyMap<FaultReason, number> {
    return this.#counts;
  }

  get isEjected(): boolean {
    return performance.now() < this.#ejectedUntil;
  }

  /** It answered as it should. */
  good(): void {
    this.#inARow = 0;
  }

  /** Answers whether it is ejected by that: for a pause that doubles each time, after which one more fault is enough. */
  add({ reason, message }: WorkerFaultError): boolean {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    const now = performance.now();
    if (now - (this.#saidAt.get(reason) ?? Number.NEGATIVE_INFINITY) > SAID_AGAIN_MS) {
      this.#saidAt.set(reason, now);
      this.#logger.error({ fault: reason, reason: message }, 'remote worker is at fault');
    }
    this.#inARow += 1;
    if (this.#inARow < MOST_IN_A_ROW || this.isEjected) return false;
    const isForgiven = now - this.#ejectedUntil > FORGIVEN_MS;
    this.#pauseMs = isForgiven ? this.#pauses.first : Math.min(2 * this.#pauseMs, this.#pauses.most);
    this.#ejectedUntil = now + this.#pauseMs;
    this.#inARow = MOST_IN_A_ROW - 1;
    this.#logger.error({ pauseMs: this.#pauseMs }, 'remote worker is ejected for faults in a row');
    return true;
  }
}
