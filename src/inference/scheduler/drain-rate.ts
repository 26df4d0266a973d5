/** What was drained counts for half after so much time in which there was enough to drain. */
const HALF_LIFE_MS = 2_000;
/** A longer pause between two answers was a model that loaded or a worker that came back, which is no rate. */
const LONGEST_PAUSE_MS = 1_000;
/** Less says nothing yet. */
const TELLING_MS = 200;

/**
 * How fast a backlog is worked off by all that serves it together: device time as it was estimated, over time. Measured by what is
 * answered while there is enough to keep everything busy; less would show how fast things come, and not how fast they could go.
 */
export class DrainRate {
  #workMs = 0;
  #busyMs = 0;
  /** Since when there was enough, or what was answered last since; null: there is not. */
  #since: number | null = null;

  /** Whether there is enough from now on. */
  enough(isEnough: boolean, now: number): void {
    if (!isEnough) this.#since = null;
    else this.#since ??= now;
  }

  /** So much of it was answered. */
  drained(workMs: number, now: number): void {
    if (this.#since === null) return;
    const ms = now - this.#since;
    this.#since = now;
    if (ms > LONGEST_PAUSE_MS) return;
    const kept = 0.5 ** (ms / HALF_LIFE_MS);
    this.#workMs = kept * this.#workMs + workMs;
    this.#busyMs = kept * this.#busyMs + ms;
  }

  /** Estimated milliseconds a millisecond; null: not known yet. */
  get rate(): number | null {
    return this.#busyMs < TELLING_MS || this.#workMs === 0 ? null : this.#workMs / this.#busyMs;
  }
}
