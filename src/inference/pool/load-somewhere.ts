import { setTimeout as sleep } from 'node:timers/promises';
import { WorkerLostError } from '../oip/errors.ts';
import type { Variant } from '../variant.ts';
import type { LoadOptions } from './variant-loader.ts';
import type { InferenceWorker } from './worker.ts';

/** One that has not loaded it by then may hang: another is asked as well. */
const HEDGE_MS = 30_000;

/**
 * Settles when one of the workers holds the variant, or `copies` of them as far as they can: they are asked one after the
 * other, so that not all of them are busy with that at once, the next as soon as one is done or takes long. Throws what the
 * first refused it with where all of them do, else how the last went away.
 */
export async function loadSomewhere(
  variant: Variant,
  workers: readonly InferenceWorker[],
  { onlyIfRoom = false, copies = 1 }: LoadOptions & { copies?: number },
): Promise<void> {
  const failures: Error[] = [];
  const asked: Promise<void>[] = [];
  let loaded = 0;
  const isEnough = () => loaded >= Math.max(1, copies);
  for (const worker of workers.toSorted(byFitness(variant.key))) {
    const answered = worker.ensureLoaded(variant, { onlyIfRoom }).then(
      () => {
        loaded += 1;
      },
      (error: Error) => {
        failures.push(error);
      },
    );
    asked.push(answered);
    await withinHedge(answered);
    if (isEnough()) return;
  }
  // One is all that is needed, and those that may hang are not waited for any longer.
  if (loaded > 0) return withinHedge(Promise.all(asked));
  await firstThat(asked, () => loaded > 0);
  if (loaded === 0) throw failures.find((error) => !(error instanceof WorkerLostError)) ?? failures[0];
}

async function withinHedge(work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  await Promise.race([work, sleep(HEDGE_MS, undefined, { signal: done.signal }).catch(() => undefined)]);
  done.abort();
}

/** Settles when one of them has settled and it is so, or all have. */
function firstThat(works: readonly Promise<void>[], isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    for (const work of works) void work.then(() => isSo() && resolve());
    void Promise.all(works).then(() => resolve());
  });
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
