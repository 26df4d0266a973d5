import { Worker } from 'node:worker_threads';
import type { Pace } from './pacing-thread.ts';

/**
 * Calls `arrive` with each moment at which a request is due, on the clock of `monotonicMs`: gaps are exponential, so that
 * arrivals form a Poisson process of the given rate, and the same seed gives the same gaps. A thread waits for them, since a
 * timer of Node's is up to a millisecond late, which is half of what an overhead may be.
 *
 * @returns ends the arrivals
 */
export function poissonArrivals(
  { perSecond, seed }: { readonly perSecond: number; readonly seed: number },
  arrive: (dueAt: number) => void,
): () => void {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const workerData: Pace = { perSecond, seed, stop };
  const thread = new Worker(new URL('pacing-thread.ts', import.meta.url), { workerData });
  thread.on('message', (dueAt: number) => {
    if (stop[0] === 0) arrive(dueAt);
  });
  return () => {
    Atomics.store(stop, 0, 1);
    Atomics.notify(stop, 0);
  };
}
