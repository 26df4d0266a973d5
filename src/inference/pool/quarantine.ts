import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import { digestOf } from './deadly-images.ts';
import type { DeathKind, WorkerTask } from './worker-host.ts';

export interface QuarantineOptions {
  /** Deaths within so long, milliseconds, those of one image being one; 3 in 5 minutes. */
  readonly deaths?: number;
  readonly withinMs?: number;
  /** How long a variant is kept from workers: at first, doubled each time, and at most; 1 minute and 1 hour. */
  readonly firstMs?: number;
  readonly mostMs?: number;
  readonly clock?: Clock;
}

interface Death {
  readonly at: number;
  readonly kind: DeathKind;
  /** What the worker ran or loaded, by key. */
  readonly variants: ReadonlySet<string>;
  /** Digests of the images that it ran, one of which it may have died of; none where it loaded something as well. */
  readonly images: readonly string[];
}

interface Sentence {
  readonly variant: Variant;
  readonly until: number;
  readonly ms: number;
}

/** One that workers live with for so long after a quarantine starts with the shortest again. */
const FORGIVEN_MS = 10 * 60_000;

/**
 * Which variants workers die of. One under which they died time and again, alone or as the only one that those deaths have in
 * common, is kept from all of them for a while, so that no tenant's model costs the others more than those few restarts.
 * Then it is tried again, and one more death is enough. Another version is another variant. However many died of
 * one image, that alone takes a variant from nobody: see `DeadlyImages`.
 */
export class Quarantine {
  readonly #logger: Logger;
  readonly #options: Required<QuarantineOptions>;
  #deaths: readonly Death[] = [];
  /** When a variant that is in one of them was last answered. */
  readonly #answeredAt = new Map<string, number>();
  readonly #sentences = new Map<string, Sentence>();

  constructor(logger: Logger, options: QuarantineOptions = {}) {
    this.#logger = logger;
    const defaults = { deaths: 3, withinMs: 5 * 60_000, firstMs: 60_000, mostMs: 60 * 60_000 };
    this.#options = { ...defaults, clock: systemClock, ...options };
  }

  /** A worker went away while it was at `tasks`. */
  died(kind: DeathKind, tasks: Iterable<WorkerTask>): void {
    const { clock, withinMs } = this.#options;
    const now = clock.elapsed();
    const all = [...tasks];
    const byKey = new Map(all.map(({ variant }) => [variant.key, variant]));
    if (byKey.size === 0) return;
    const death = { at: now, kind, variants: new Set(byKey.keys()), images: digestsOf(all) };
    this.#deaths = [...this.#deaths.filter(({ at }) => now - at < withinMs), death];
    for (const key of this.#answeredAt.keys())
      if (!this.#deaths.some(({ variants }) => variants.has(key))) this.#answeredAt.delete(key);
    for (const variant of byKey.values()) this.#judge(variant, now);
  }

  /** A worker has run it and lives. */
  answered(variantKey: string): void {
    if (this.#deaths.length > 0) this.#answeredAt.set(variantKey, this.#options.clock.elapsed());
  }

  /** Milliseconds for which it is still kept from workers; 0: it may be run. */
  leftMs(variantKey: string): number {
    const sentence = this.#sentences.get(variantKey);
    return sentence ? Math.max(0, sentence.until - this.#options.clock.elapsed()) : 0;
  }

  /** What is kept from workers now, and for how many milliseconds more. */
  list(): { readonly variant: Variant; readonly leftMs: number }[] {
    return Array.from(this.#sentences, ([key, { variant }]) => ({
      variant,
      leftMs: this.leftMs(key),
    })).filter(({ leftMs }) => leftMs > 0);
  }

  /** Whether a worker that becomes ready should rather not load it of its own accord. */
  isDoubtful(variantKey: string): boolean {
    return this.leftMs(variantKey) > 0 || this.#against(variantKey).length > 0;
  }

  #judge(variant: Variant, now: number): void {
    const { key, title } = variant;
    const { deaths, firstMs, mostMs } = this.#options;
    const before = this.#sentences.get(key);
    const isKnown = before !== undefined && now - before.until < FORGIVEN_MS;
    const against = this.#against(key);
    if (causesOf(against) < (isKnown ? 1 : deaths)) return;
    const [first, ...others] = against.map(({ variants }) => variants);
    const common = [...first!].filter((each) => others.every((variants) => variants.has(each)));
    if (common.length > 1) return; // It may be another that they died of.
    const ms = isKnown ? Math.min(2 * before.ms, mostMs) : firstMs;
    this.#sentences.set(key, { variant, until: now + ms, ms });
    this.#deaths = this.#deaths.filter((death) => !against.includes(death));
    this.#logger.error(
      { model: title, variant: key, deaths: against.length, quarantineMs: ms },
      'a model is quarantined: workers died of it',
    );
  }

  /** The deaths that speak against it. */
  #against(key: string): Death[] {
    const { clock, withinMs } = this.#options;
    const since = clock.elapsed() - withinMs;
    const answeredAt = this.#answeredAt.get(key) ?? Number.NEGATIVE_INFINITY;
    return this.#deaths.filter(
      ({ at, kind, variants }) => at > since && variants.has(key) && (kind === 'broke' || at > answeredAt),
    );
  }
}

/** Of how many things workers died at least: of an image that was all that one had, others with it among theirs died, too. */
function causesOf(deaths: readonly Death[]): number {
  const culprits = new Set(
    deaths.filter(({ images }) => images.length === 1).map(({ images }) => images[0]!),
  );
  const unexplained = deaths.filter(({ images }) => !images.some((image) => culprits.has(image)));
  return culprits.size + unexplained.length;
}

function digestsOf(tasks: readonly WorkerTask[]): string[] {
  const batches = tasks.map(({ pixels }) => pixels);
  return batches.includes(null) ? [] : batches.flatMap((batch) => imagesOf(batch!).map(digestOf));
}

function imagesOf({ data, shape }: Tensor): Uint8Array[] {
  const images = shape[0]!;
  const size = data.byteLength / images;
  return Array.from({ length: images }, (_, at) => data.subarray(at * size, (at + 1) * size));
}
