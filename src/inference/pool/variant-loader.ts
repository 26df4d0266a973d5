import { ModelLoadError, OipError } from '../oip/errors.ts';
import type { Variant } from '../variant.ts';

/** Which variants one worker process holds or is loading: each is asked for once. */
export class VariantLoader {
  readonly #load: (variant: Variant) => Promise<void>;
  readonly #loads = new Map<string, Promise<void>>();

  constructor(load: (variant: Variant) => Promise<void>) {
    this.#load = load;
  }

  /** Throws ModelLoadError where the worker refuses. A failed load is not remembered: the next call tries again. */
  ensure(variant: Variant): Promise<void> {
    let load = this.#loads.get(variant.key);
    if (!load) {
      load = this.#load(variant).catch((error: unknown) => {
        if (!(error instanceof OipError)) throw error;
        throw new ModelLoadError(error.status, error.message, { cause: error });
      });
      this.#loads.set(variant.key, load);
      load.catch(() => this.#loads.delete(variant.key));
    }
    return load;
  }

  forget(variant: Variant): void {
    this.#loads.delete(variant.key);
  }
}

/** The parameters of `load` for a worker that reads the artefact store. */
export function loadParameters(variant: Variant): Record<string, string | number> {
  return { sha256: variant.artifactSha256, format: 'onnx', warmup_batch: variant.maxBatch };
}
