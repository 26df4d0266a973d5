import { OipError } from '../oip/errors.ts';

/** When a run may have its turn. */
export interface Wish {
  /** Lower ones first; within one, who came first. */
  readonly level: number;
  /** How long it may wait, milliseconds; null: for ever. */
  readonly timeoutMs: number | null;
  /** Whoever aborts leaves the queue. */
  readonly signal?: AbortSignal;
}

interface Waiting {
  readonly level: number;
  readonly deadline: number;
  readonly start: () => void;
  readonly expire: () => void;
}

/** Before everything that clients ask for. */
const upkeep: Wish = { level: 0, timeoutMs: null };
/** Timers know no longer time; who may wait longer is found out when its turn comes. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Runs one after the other. */
export class RunQueue {
  /** In the order of their turns. */
  readonly #waiting: Waiting[] = [];
  #isBusy = false;

  /**
   * What `work` comes to, once it has had its turn. Throws OipError 503 where its timeout passed first, and the signal's reason
   * where that was aborted first: `work` is not called then.
   */
  async enter<T>(work: () => Promise<T>, wish: Wish = upkeep): Promise<T> {
    await this.#turn(wish);
    try {
      return await work();
    } finally {
      // Two turns of the event loop later: one takes connections, one reads them, so that who has come during the run has
      // its place when the next is chosen.
      setImmediate(() => setImmediate(() => this.#startNext()));
    }
  }

  async #turn({ level, timeoutMs, signal }: Wish): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#isBusy) {
      this.#isBusy = true;
      return;
    }
    const { promise: turn, resolve: start, reject } = Promise.withResolvers<void>();
    const deadline = performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    const waiting: Waiting = { level, deadline, start, expire: () => reject(timedOut(timeoutMs)) };
    this.#waiting.splice(this.#waiting.findLastIndex((other) => other.level <= level) + 1, 0, waiting);
    const leave = (tell: () => void) => {
      const place = this.#waiting.indexOf(waiting);
      if (place === -1) return; // Its turn has come.
      this.#waiting.splice(place, 1);
      tell();
    };
    const abort = () => leave(() => reject(signal?.reason));
    const isTimed = timeoutMs !== null && timeoutMs <= LONGEST_TIMER_MS;
    const timer = isTimed ? setTimeout(() => leave(waiting.expire), timeoutMs) : undefined;
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await turn;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  #startNext(): void {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      if (next.deadline > performance.now()) {
        next.start();
        return;
      }
      // While an engine held the process no timer ran.
      next.expire();
    }
    this.#isBusy = false;
  }
}

function timedOut(timeoutMs: number | null): OipError {
  const timeout = `${Math.round(Number(timeoutMs) * 1_000)} µs`;
  return new OipError(503, `Request timeout expired: it waited for ${timeout}, and was not run`);
}
