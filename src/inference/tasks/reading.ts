import type { Size } from '../images/geometry.ts';

/** How one image's outputs become what its client is told: plain data, so that it can be sent to a thread. */
export interface CommonReading {
  /** One a graph column. */
  readonly labels: readonly string[];
  /** The oriented picture's size. */
  readonly original: Size;
}
