import { oneAtATime } from '../../lib/one-at-a-time.ts';
import { ModelLoadError, OipError, WorkerFaultError } from '../oip/errors.ts';
import type { Variant } from '../variant.ts';
import type { Loads } from './worker.ts';

/**
 * Which variants one worker process holds or is loading: each is asked for once. They are loaded one after the other: a
 * worker can do no two at once, and a large one must not use up the time that the next is given.
 */
export class VariantLoader<Loaded> {
  readonly #load: (variant: Variant) => Promise<Loaded>;
  readonly #enter = oneAtATime();
  readonly #loads = new Map<string, Promise<Loaded>>();
  readonly #held = new Set<string>();
  #begun = 0;
  #waiting = 0;
  #idleSince = Number.NEGATIVE_INFINITY;

  constructor(load: (variant: Variant) => Promise<Loaded>) {
    this.#load = load;
  }

  /** Keys of the variants that the worker has loaded. */
  get held(): ReadonlySet<string> {
    return this.#held;
  }

  get loads(): Loads {
    return { begun: this.#begun, underWay: this.#waiting > 0 };
  }

  /** When the last load ended, on the clock of `performance`; null: one is under way. */
  get idleSince(): number | null {
    return this.#waiting > 0 ? null : this.#idleSince;
  }

  /** Throws ModelLoadError where the worker refuses the variant. A failed load is not remembered: the next call tries again. */
  ensure(variant: Variant): Promise<Loaded> {
    let load = this.#loads.get(variant.key);
    if (!load) {
      const begun = this.#loadNow(variant);
      load = begun;
      this.#loads.set(variant.key, begun);
      begun.catch(() => {
        // It may have been forgotten and begun anew since.
        if (this.#loads.get(variant.key) === begun) this.#loads.delete(variant.key);
      });
    }
    return load;
  }

  forget(variant: Variant): void {
    this.#loads.delete(variant.key);
    this.#held.delete(variant.key);
  }

  async #loadNow(variant: Variant): Promise<Loaded> {
    this.#begun += 1;
    this.#waiting += 1;
    try {
      const loaded = await this.#enter(() => this.#load(variant));
      this.#held.add(variant.key);
      return loaded;
    } catch (error) {
      if (!(error instanceof OipError) || error instanceof WorkerFaultError) throw error;
      throw new ModelLoadError(error.status, error.message, { cause: error });
    } finally {
      this.#waiting -= 1;
      this.#idleSince = performance.now();
    }
  }
}

/** The parameters of `load` for a worker that reads the artefact store. */
export function loadParameters(variant: Variant): Record<string, string | number> {
  const { artifactSha256: sha256, externalData, format, maxBatch } = variant;
  return {
    sha256,
    ...(externalData.length > 0 && { external_data: externalData.join(',') }),
    format,
    warmup_batch: maxBatch,
  };
}
