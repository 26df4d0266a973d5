import type { Logger } from '../../lib/logger.ts';
import type { Flight, Lane } from './lane.ts';

/** Between two looks. */
const LOOK_MS = 100;

export interface LaneWatchOptions {
  readonly logger: Logger;
  /** See `Lane.isHung`. */
  readonly hangMs: number;
  /** Called with each batch whose answer is not to be waited for any longer, until it says that the batch is on its way elsewhere. */
  readonly repeat: (flight: Flight, lane: Lane) => boolean;
  /** Called after each look with the milliseconds since the last. */
  readonly onLook: (ms: number) => void;
}

/** Looks after workers as long as they have batches: whether they answer as they should. */
export class LaneWatch {
  readonly #options: LaneWatchOptions;
  readonly #busy = new Set<Lane>();
  /** Batches of which it was told that they are overdue. */
  readonly #told = new WeakSet<Flight>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: LaneWatchOptions) {
    this.#options = options;
  }

  /** The lane has one batch more. */
  begun(lane: Lane): void {
    this.#busy.add(lane);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** The lane has one batch less. */
  ended(lane: Lane): void {
    if (lane.flights.size === 0) this.#busy.delete(lane);
  }

  #look(): void {
    if (this.#busy.size === 0) {
      clearInterval(this.#timer!);
      this.#timer = null;
      return;
    }
    const { logger, hangMs, repeat, onLook } = this.#options;
    for (const lane of this.#busy) {
      const { name: worker } = lane.worker;
      // A timer that is late, since this process was busy or stopped itself, fires once: only what it saw counts.
      if (lane.passed(LOOK_MS))
        logger.warn({ worker }, 'a worker is silent for far longer than its batch should take');
      if (lane.isHung(hangMs)) lane.worker.killHung?.();
      for (const flight of lane.flights) {
        if (flight.isOverdue && !this.#told.has(flight)) {
          this.#told.add(flight);
          logger.warn({ worker }, 'a worker has not answered a batch for far longer than it should take');
        }
        if (!flight.isRepeated && (lane.isSuspect || flight.isOverdue))
          flight.isRepeated = repeat(flight, lane);
      }
    }
    onLook(LOOK_MS);
  }
}
