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

interface RunImage {
  readonly digest: string;
  readonly tenant: string | null;
}

interface Death {
  readonly at: number;
  readonly kind: DeathKind;
  /** What the worker ran or loaded, by key. */
  readonly variants: ReadonlySet<string>;
  /** The images that it ran, one of which it may have died of; none where it loaded something as well. */
  readonly images: readonly RunImage[];
}

/** What one or several workers died of. */
interface Cause {
  readonly deaths: readonly Death[];
  /** Tenants whose image it may have been; none where it may have been no image. */
  readonly suspects: ReadonlySet<string>;
}

interface Sentence {
  readonly variant: Variant;
  /** Whose images alone the variant is not run on; null: on nobody's. */
  readonly tenant: string | null;
  readonly until: number;
  readonly ms: number;
}

/** One that workers live with for so long after a quarantine starts with the shortest again. */
const FORGIVEN_MS = 10 * 60_000;

/**
 * Which variants workers die of. One under which they died time and again, alone or as the only one that those deaths have in
 * common, is kept from all of them for a while, so that no tenant's model costs the others more than those few restarts.
 * Then it is tried again, and one more death is enough, unless it may be one tenant's doing. Another version is another variant.
 * However many died of one image, that alone takes a variant from nobody: see `DeadlyImages`.
 *
 * Where each time it may have been an image of one tenant's, and of no other's so, it is kept from that tenant's images alone. The
 * next tenant of whom the same is found shows that it is the variant.
 */
export class Quarantine {
  readonly #logger: Logger;
  readonly #options: Required<QuarantineOptions>;
  #deaths: readonly Death[] = [];
  /** When a variant that is in one of them was last answered. */
  readonly #answeredAt = new Map<string, number>();
  #sentences: readonly Sentence[] = [];

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
    const death = { at: now, kind, variants: new Set(byKey.keys()), images: imagesRun(all) };
    this.#deaths = [...this.#deaths.filter(({ at }) => now - at < withinMs), death];
    this.#sentences = this.#sentences.filter(({ until }) => now - until < FORGIVEN_MS);
    for (const key of this.#answeredAt.keys())
      if (!this.#deaths.some(({ variants }) => variants.has(key))) this.#answeredAt.delete(key);
    for (const variant of byKey.values()) this.#judge(variant);
  }

  /** A worker has run it and lives. */
  answered(variantKey: string): void {
    if (this.#deaths.length > 0) this.#answeredAt.set(variantKey, this.#options.clock.elapsed());
  }

  /** Milliseconds for which a variant is not run on anybody's images, or where a tenant is told, on theirs; 0: it is. */
  leftMs(variantKey: string, tenant: string | null = null): number {
    const now = this.#options.clock.elapsed();
    const those = this.#sentences.filter(
      (each) => each.variant.key === variantKey && (each.tenant === null || each.tenant === tenant),
    );
    return Math.max(0, ...those.map(({ until }) => until - now));
  }

  /** What is kept from workers now, with whose images, null for everybody's, and for how many milliseconds more. */
  list(): { readonly variant: Variant; readonly tenant: string | null; readonly leftMs: number }[] {
    const now = this.#options.clock.elapsed();
    return this.#sentences
      .map(({ variant, tenant, until }) => ({ variant, tenant, leftMs: until - now }))
      .filter(({ leftMs }) => leftMs > 0);
  }

  /** Whether a worker that becomes ready should rather not load it of its own accord. */
  isDoubtful(variantKey: string): boolean {
    return this.leftMs(variantKey) > 0 || this.#against(variantKey).length > 0;
  }

  #judge(variant: Variant): void {
    const causes = causesOf(this.#against(variant.key));
    const known = this.#sentences
      .filter((each) => each.variant.key === variant.key)
      .flatMap(({ tenant }) => tenant ?? []);
    const under = (tenant: string) =>
      causes.filter(({ suspects }) => suspects.size === 1 && suspects.has(tenant));
    const again = known.find((tenant) => this.#isGuilty(variant, tenant, under(tenant)));
    if (again !== undefined) {
      this.#sentence(variant, again, under(again));
      return;
    }
    const [tenant = null, ...others] = suspectsOfAll(causes);
    const isAnother = tenant !== null && known.length > 0 && !known.includes(tenant);
    const found = others.length === 0 && !isAnother ? tenant : null;
    if (this.#isGuilty(variant, found, causes)) this.#sentence(variant, found, causes);
  }

  #isGuilty({ key }: Variant, tenant: string | null, causes: readonly Cause[]): boolean {
    if (causes.length < (this.#known(key, tenant) ? 1 : this.#options.deaths)) return false;
    const [first, ...others] = causes.flatMap(({ deaths }) => deaths).map(({ variants }) => variants);
    // Otherwise it may be another that they died of.
    return [...first!].every((each) => each === key || !others.every((variants) => variants.has(each)));
  }

  #known(key: string, tenant: string | null): Sentence | undefined {
    return this.#sentences.find((each) => each.variant.key === key && each.tenant === tenant);
  }

  #sentence(variant: Variant, tenant: string | null, causes: readonly Cause[]): void {
    const { clock, firstMs, mostMs } = this.#options;
    const { key, title } = variant;
    const before = this.#known(key, tenant);
    const ms = before ? Math.min(2 * before.ms, mostMs) : firstMs;
    this.#sentences = [
      ...this.#sentences.filter((each) => each !== before),
      { variant, tenant, until: clock.elapsed() + ms, ms },
    ];
    const deaths = causes.flatMap(({ deaths }) => deaths);
    this.#deaths = this.#deaths.filter((death) => !deaths.includes(death));
    this.#logger.error(
      { model: title, variant: key, tenant, deaths: deaths.length, quarantineMs: ms },
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

/** Of an image that was all that one had others with it among theirs died, too; what is left has a cause each. */
function causesOf(deaths: readonly Death[]): Cause[] {
  const culprits = new Set(
    deaths.filter(({ images }) => images.length === 1).map(({ images }) => images[0]!.digest),
  );
  const culpritIn = ({ images }: Death) => images.find(({ digest }) => culprits.has(digest))?.digest;
  const byCause = Map.groupBy(deaths, (death) => culpritIn(death) ?? death);
  return Array.from(byCause, ([cause, deaths]) => {
    const images = deaths.flatMap((death) => death.images);
    const own = typeof cause === 'string' ? images.filter(({ digest }) => digest === cause) : images;
    return { deaths, suspects: new Set(own.map(({ tenant }) => tenant).filter((tenant) => tenant !== null)) };
  });
}

/** Tenants whose image it may have been each time. */
function suspectsOfAll([first, ...others]: readonly Cause[]): string[] {
  return [...(first?.suspects ?? [])].filter((tenant) =>
    others.every(({ suspects }) => suspects.has(tenant)),
  );
}

function imagesRun(tasks: readonly WorkerTask[]): RunImage[] {
  if (tasks.some(({ pixels }) => pixels === null)) return [];
  return tasks.flatMap(({ pixels, tenants }) =>
    imagesOf(pixels!).map((image, at) => ({ digest: digestOf(image), tenant: tenants?.[at] ?? null })),
  );
}

function imagesOf({ data, shape }: Tensor): Uint8Array[] {
  const images = shape[0]!;
  const size = data.byteLength / images;
  return Array.from({ length: images }, (_, at) => data.subarray(at * size, (at + 1) * size));
}
