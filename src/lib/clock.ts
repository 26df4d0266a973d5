/** Time, passed in where a test needs to turn it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /**
   * Milliseconds, with fractions, since some moment; never goes back, and nobody sets it. For durations, and for deadlines within
   * the process.
   */
  elapsed(): number;
}

export const systemClock: Clock = { now: () => Date.now(), elapsed: () => performance.now() };
