import { setTimeout as sleep } from 'node:timers/promises';
import { WorkerLostError } from '../oip/errors.ts';
import type { Variant } from '../variant.ts';
import type { LoadOptions } from './variant-loader.ts';
import type { InferenceWorker } from './worker.ts';

/** One that has not loaded it by then may hang: another is asked as well. */
const HEDGE_MS = 30_000;

export interface LoadSomewhereOptions extends LoadOptions {
  /** How many workers are to hold it, as far as they can; 1. */
  readonly copies?: number;
  /** How long a worker may take before another is asked as well. 30 s. */
  readonly hedgeMs?: number;
}

/**
 * Settles when one of the workers holds the variant, or `copies` of them as far as they can: they are asked one after the
 * other, so that not all of them are busy with that at once, the next as soon as one is done or takes long. Where two take long,
 * it is large, and no third is asked until one of them is done. Throws what the first refused it with where all of them do, else
 * how the last went away.
 */
export async function loadSomewhere(
  variant: Variant,
  workers: readonly InferenceWorker[],
  { onlyIfRoom = false, copies = 1, hedgeMs = HEDGE_MS }: LoadSomewhereOptions,
): Promise<void> {
  const failures: Error[] = [];
  const pending = new Set<Promise<void>>();
  const enough = Promise.withResolvers<void>();
  let loaded = 0;
  const isEnough = () => loaded >= Math.max(1, copies);
  for (const worker of workers.toSorted(byFitness(variant.key))) {
    const asked = worker.ensureLoaded(variant, { onlyIfRoom }).then(
      () => {
        pending.delete(asked);
        loaded += 1;
        if (isEnough()) enough.resolve();
      },
      (error: Error) => {
        pending.delete(asked);
        failures.push(error);
      },
    );
    pending.add(asked);
    await within(hedgeMs, Promise.race([asked, enough.promise]));
    while (pending.size > 1 && !isEnough()) await Promise.race(pending);
    if (isEnough()) return;
  }
  // One is all that is needed, and one that may hang is not waited for any longer.
  if (loaded > 0) return within(hedgeMs, Promise.all(pending));
  while (pending.size > 0 && loaded === 0) await Promise.race(pending);
  if (loaded === 0) throw failures.find((error) => !(error instanceof WorkerLostError)) ?? failures[0];
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  await Promise.race([work, sleep(ms, undefined, { signal: done.signal }).catch(() => undefined)]);
  done.abort();
}

/** Who holds it comes first, who may hang last; of the others who has most room. */
function byFitness(variantKey: string): (a: InferenceWorker, b: InferenceWorker) => number {
  const rank = (worker: InferenceWorker) =>
    worker.isSilent
      ? 3
      : worker.holds(variantKey)
        ? 0
        : worker.refuses(variantKey) || worker.loads.underWay
          ? 2
          : 1;
  return (a, b) => rank(a) - rank(b) || (b.freeBytes ?? 0) - (a.freeBytes ?? 0);
}
