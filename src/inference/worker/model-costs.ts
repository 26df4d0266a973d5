import { LearnedCosts } from '../scheduler/learned-costs.ts';
import type { BatchCosts } from '../scheduler/work.ts';

/** No name of a model has one in it. */
const BETWEEN = '\n';

/**
 * What batches of models cost, whatever the kind of their requests: clients choose the shapes of these, and what is kept must
 * not grow with that.
 */
export class ModelCosts implements BatchCosts {
  readonly #learned = new LearnedCosts();

  static keyOf(model: string, kind: string): string {
    return model + BETWEEN + kind;
  }

  learn(key: string, images: number, ms: number, now: number): void {
    this.#learned.learn(modelOf(key), images, ms, now);
  }

  forget(model: string): void {
    this.#learned.forget(model);
  }

  batchMs(key: string, images: number): number {
    return this.#learned.batchMs(modelOf(key), images);
  }

  soonestMs(key: string, now: number): number {
    return this.#learned.soonestMs(modelOf(key), now);
  }

  batchSize(key: string, maxBatch: number): number {
    return this.#learned.batchSize(modelOf(key), maxBatch);
  }
}

function modelOf(key: string): string {
  return key.slice(0, key.indexOf(BETWEEN));
}
