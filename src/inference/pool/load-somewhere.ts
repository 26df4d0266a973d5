import { setTimeout as sleep } from 'node:timers/promises';
import { WorkerLostError } from '../oip/errors.ts';
import type { Variant } from '../variant.ts';
import type { LoadOptions } from './variant-loader.ts';
import type { InferenceWorker } from './worker.ts';

/** One that has not loaded it by then may hang, which an idle worker does not show: another is asked as well. */
const HEDGE_MS = 5_000;

/**
 * Settles when one of the workers holds the variant: they are asked one after the other, the next as soon as one refuses or
 * takes long. Throws what the first refused it with where all of them do, else how the last went away.
 */
export async function loadSomewhere(
  variant: Variant,
  workers: readonly InferenceWorker[],
  options: LoadOptions,
): Promise<void> {
  const failures: Error[] = [];
  const asked: Promise<boolean>[] = [];
  for (const worker of workers.toSorted(byFitness(variant.key))) {
    const loaded = worker.ensureLoaded(variant, options).then(
      () => true,
      (error: Error) => {
        failures.push(error);
        return false;
      },
    );
    asked.push(loaded);
    const patience = new AbortController();
    const { signal } = patience;
    const hedge = sleep(HEDGE_MS, false, { signal }).catch(() => false); // Aborted: it was answered.
    const isLoaded = await Promise.race([hedge, anyOf(asked)]);
    patience.abort();
    if (isLoaded) return;
  }
  if (await anyOf(asked)) return;
  throw failures.find((error) => !(error instanceof WorkerLostError)) ?? failures[0];
}

/** Whether one of them comes true; settles with the first that does, or when none did. */
function anyOf(answers: readonly Promise<boolean>[]): Promise<boolean> {
  return new Promise((resolve) => {
    for (const answer of answers) void answer.then((isYes) => isYes && resolve(true));
    void Promise.all(answers).then(() => resolve(false));
  });
}

/** Who holds it comes first, then who has most room for it. */
function byFitness(variantKey: string): (a: InferenceWorker, b: InferenceWorker) => number {
  const rank = (worker: InferenceWorker) =>
    worker.holds(variantKey) ? 0 : worker.refuses(variantKey) || worker.loads.underWay ? 2 : 1;
  return (a, b) => rank(a) - rank(b) || (b.freeBytes ?? 0) - (a.freeBytes ?? 0);
}
