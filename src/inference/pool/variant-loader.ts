import { LRUCache } from 'lru-cache';
import { oneAtATime } from '../../lib/one-at-a-time.ts';
import { isNo, ModelLoadError, OipError, WorkerFaultError } from '../oip/errors.ts';
import type { WorkerMemory } from '../oip/worker-memory.ts';
import type { Variant } from '../variant.ts';
import type { OpenVariant } from './model-server.ts';
import type { Loads } from './worker.ts';

export interface LoadOptions {
  /** Refused where something else had to be unloaded for it. */
  readonly onlyIfRoom?: boolean;
}

interface Load {
  readonly variant: Variant;
  readonly onlyIfRoom: boolean;
  readonly opened: Promise<OpenVariant>;
  /** null: under way. */
  open: OpenVariant | null;
  /** When it was done, on the clock of `performance`. */
  at: number;
}

/** A variant that was refused is better asked of another worker, for so long: what was lacking may be there by then. */
const REFUSED_MS = 30_000;
/** What a worker answers of a variant that it does not hold; those of others answer what they like. */
const NOT_FOUND = 404;
/** Times in a row that a batch finds its variant unloaded again before it has run. */
const MOST_RELOADS = 3;

/**
 * Which variants one worker process holds or is loading: each is asked for once. They are loaded one after the other: a
 * worker can do no two at once, and a large one must not use up the time that the next is given.
 */
export class VariantLoader {
  readonly #load: (variant: Variant, onlyIfRoom: boolean) => Promise<OpenVariant>;
  readonly #loaded: (variant: Variant, ms: number) => void;
  readonly #enter = oneAtATime();
  readonly #loads = new Map<string, Load>();
  readonly #refusedAt = new LRUCache<string, number>({ max: 1_000 });
  #loading: Variant | null = null;
  #begun = 0;
  #waiting = 0;
  #idleSince = Number.NEGATIVE_INFINITY;

  /** `loaded`: told how long a load took. */
  constructor(
    load: (variant: Variant, onlyIfRoom: boolean) => Promise<OpenVariant>,
    loaded: (variant: Variant, ms: number) => void = () => {},
  ) {
    this.#load = load;
    this.#loaded = loaded;
  }

  /** What the worker has loaded, for all that is known here. */
  get held(): Variant[] {
    return [...this.#loads.values()].filter(({ open }) => open !== null).map(({ variant }) => variant);
  }

  /** What the worker loads at the moment. */
  get loading(): Variant | null {
    return this.#loading;
  }

  get loads(): Loads {
    return { begun: this.#begun, underWay: this.#waiting > 0 };
  }

  /** When the last load ended, on the clock of `performance`; null: one is under way. */
  get idleSince(): number | null {
    return this.#waiting > 0 ? null : this.#idleSince;
  }

  holds(variantKey: string): boolean {
    return (this.#loads.get(variantKey)?.open ?? null) !== null;
  }

  /** Whether the worker would not load it a short while ago. */
  refuses(variantKey: string): boolean {
    const at = this.#refusedAt.get(variantKey);
    return at !== undefined && performance.now() - at < REFUSED_MS;
  }

  /** Throws ModelLoadError where the worker refuses the variant. A failed load is not remembered: the next call tries again. */
  async ensure(variant: Variant, { onlyIfRoom = false }: LoadOptions = {}): Promise<OpenVariant> {
    const load = this.#loads.get(variant.key) ?? this.#begin(variant, onlyIfRoom);
    if (!load.onlyIfRoom || onlyIfRoom) return load.opened;
    try {
      return await load.opened;
    } catch (error) {
      // It was refused for want of room, which others may be unloaded for.
      if (error instanceof ModelLoadError) return this.ensure(variant);
      throw error;
    }
  }

  /**
   * Has `run` run on the variant, which is loaded first where the worker does not hold it; and again where it turns out to have
   * unloaded it: it may have needed the room, or was restarted. `isHeld`: asks the worker, where its error does not tell.
   */
  async use<T>(
    variant: Variant,
    run: (open: OpenVariant) => Promise<T>,
    isHeld: (open: OpenVariant) => Promise<boolean>,
  ): Promise<T> {
    for (let reloads = 0; ; reloads += 1) {
      const open = await this.ensure(variant);
      try {
        return await run(open);
      } catch (error) {
        if (!isNo(error) || reloads === MOST_RELOADS) throw error;
        // Whoever else asks the worker may have had it loaded again since: it is held then, and has not run.
        const isAnother = () => this.#loads.get(variant.key)?.open !== open;
        if (error.status !== NOT_FOUND && !isAnother() && (await isHeld(open))) throw error;
        if (!isAnother()) this.#loads.delete(variant.key);
      }
    }
  }

  /** The worker told what it holds, when it was asked at `askedAt`: it is not taken to hold anything else. */
  compare({ models }: WorkerMemory, askedAt: number): void {
    for (const [key, { open, at }] of this.#loads)
      if (open !== null && at < askedAt && !models.has(key)) this.#loads.delete(key);
  }

  #begin(variant: Variant, onlyIfRoom: boolean): Load {
    const load: Load = {
      ...{ variant, onlyIfRoom, opened: this.#loadNow(variant, onlyIfRoom) },
      ...{ open: null, at: 0 },
    };
    this.#loads.set(variant.key, load);
    load.opened.then(
      (open) => {
        load.open = open;
        load.at = performance.now();
        for (const key of open.unloaded ?? []) if (this.holds(key)) this.#loads.delete(key);
      },
      (error: unknown) => {
        this.#loads.delete(variant.key);
        if (error instanceof ModelLoadError && !onlyIfRoom)
          this.#refusedAt.set(variant.key, performance.now());
      },
    );
    return load;
  }

  async #loadNow(variant: Variant, onlyIfRoom: boolean): Promise<OpenVariant> {
    this.#begun += 1;
    this.#waiting += 1;
    try {
      return await this.#enter(async () => {
        this.#loading = variant;
        const start = performance.now();
        try {
          const open = await this.#load(variant, onlyIfRoom);
          this.#loaded(variant, performance.now() - start);
          return open;
        } finally {
          this.#loading = null;
        }
      });
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
export function loadParameters(
  variant: Variant,
  onlyIfRoom: boolean,
): Record<string, string | number | boolean> {
  const { artifactSha256: sha256, externalData, format, maxBatch } = variant;
  return {
    sha256,
    ...(externalData.length > 0 && { external_data: externalData.join(',') }),
    format,
    warmup_batch: maxBatch,
    exact_batches: true,
    ...(onlyIfRoom && { only_if_room: true }),
  };
}
