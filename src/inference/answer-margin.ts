/** A slow booking counts for half as much after so long. */
const HALF_LIFE_MS = 5_000;
/** The most that is left, of a request's time. */
const MOST = 0.1;

/**
 * What of its time a request leaves for that which its own clock does not see, so that its answer is with the client in time and
 * not merely booked: its way in, its booking, its way out. The ways take about as many turns of the event loop as a booking, so as
 * much as two of the slowest lately. Milliseconds, on a clock that never goes back.
 */
export class AnswerMargin {
  #slowestMs = 0;
  #at = 0;

  booked(ms: number, now: number): void {
    this.#slowestMs = Math.max(ms, this.#slowest(now));
    this.#at = now;
  }

  of(timeoutMs: number, now: number): number {
    return Math.min(2 * this.#slowest(now), MOST * timeoutMs);
  }

  #slowest(now: number): number {
    return this.#slowestMs * 0.5 ** ((now - this.#at) / HALF_LIFE_MS);
  }
}
