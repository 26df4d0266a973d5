import { LRUCache } from 'lru-cache';
import type { Variant } from '../variant.ts';

/** What was asked for within so long is in demand. */
const LATELY_MS = 10 * 60_000;
const MOST = 1_000;

/** Which variants are asked for, and how long workers take to load them. */
export class Demand {
  readonly #asked = new LRUCache<string, Variant>({ max: MOST, ttl: LATELY_MS, ttlResolution: 1_000 });
  readonly #loadMs = new LRUCache<string, number>({ max: MOST });

  asked(variant: Variant): void {
    this.#asked.set(variant.key, variant);
  }

  /** What is in demand, the last asked for first. */
  get lately(): Variant[] {
    return [...this.#asked.values()];
  }

  get(variantKey: string): Variant | undefined {
    return this.#asked.peek(variantKey);
  }

  loaded({ key }: Variant, ms: number): void {
    this.#loadMs.set(key, ms);
  }

  /** How long its last load took, milliseconds; null: it was not loaded yet. */
  loadMs(variantKey: string): number | null {
    return this.#loadMs.get(variantKey) ?? null;
  }

  /** It is not served here after all. */
  forget({ key }: Variant): void {
    this.#asked.delete(key);
  }
}
