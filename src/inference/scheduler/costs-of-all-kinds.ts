import { LearnedCosts } from './learned-costs.ts';
import type { BatchCosts } from './work.ts';

/** No variant's key nor model's name has one in it. */
const BETWEEN = '\n';

/** The `variantKey` of works of a variant of which only those of one kind share a batch. */
export function keyOfKind(variantKey: string, kind: string): string {
  return variantKey + BETWEEN + kind;
}

/** The other way round; `kind` null: it was made of none. */
export function partsOfKey(key: string): { variantKey: string; kind: string | null } {
  const end = key.indexOf(BETWEEN);
  if (end === -1) return { variantKey: key, kind: null };
  return { variantKey: key.slice(0, end), kind: key.slice(end + 1) };
}

/** Learned costs that are one for all kinds of a variant: kinds are many, such as tenants, or the shapes that clients choose. */
export class CostsOfAllKinds implements BatchCosts {
  readonly #learned = new LearnedCosts();

  learn(key: string, images: number, ms: number, now: number): void {
    this.#learned.learn(partsOfKey(key).variantKey, images, ms, now);
  }

  forget(variantKey: string): void {
    this.#learned.forget(variantKey);
  }

  batchMs(key: string, images: number): number {
    return this.#learned.batchMs(partsOfKey(key).variantKey, images);
  }

  soonestMs(key: string, now: number): number {
    return this.#learned.soonestMs(partsOfKey(key).variantKey, now);
  }

  batchSize(key: string, maxBatch: number): number {
    return this.#learned.batchSize(partsOfKey(key).variantKey, maxBatch);
  }
}
