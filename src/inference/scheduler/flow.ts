import type { Priority } from '../request.ts';
import type { Work } from './work.ts';

/** A BATCH image yields to every interactive one for so long; then it is as urgent as they are. */
const BATCH_YIELDS_MS = 1_000;
/** So many of a tenant's interactive images go before one of its BATCH images that has waited longer than that. */
const INTERACTIVE_PER_BATCH = 3;

/** A work in the queue. */
export interface Entry<Payload> {
  readonly work: Work<Payload>;
  readonly flow: Flow<Payload>;
  readonly cameAt: number;
  /** Counts up: the order of arrival. */
  readonly number: number;
}

/** By priority, in the order of levels and then of arrival. Sets forget a member in constant time. */
type Queues<Payload> = Record<Priority, Set<Entry<Payload>>>;

/** What one tenant has waiting, in the order in which it wants it done. */
export class Flow<Payload> {
  readonly tenant: string;
  /** Device time over weight, on the scale of what the scheduler has granted so far: the rest is its credit. Milliseconds. */
  charged = Number.NEGATIVE_INFINITY;
  readonly #queues = new Map<string, Queues<Payload>>();
  /** Interactive images that ran since its last BATCH image. */
  #interactive = 0;

  constructor(tenant: string) {
    this.tenant = tenant;
  }

  get isIdle(): boolean {
    return this.#queues.size === 0;
  }

  has(variantKey: string): boolean {
    return this.#queues.has(variantKey);
  }

  hasAny(mayRun: (variantKey: string) => boolean): boolean {
    for (const variantKey of this.#queues.keys()) if (mayRun(variantKey)) return true;
    return false;
  }

  add(entry: Entry<Payload>): void {
    const { variantKey, priority } = entry.work;
    let queues = this.#queues.get(variantKey);
    if (!queues) {
      queues = { INTERACTIVE: new Set(), BATCH: new Set() };
      this.#queues.set(variantKey, queues);
    }
    const queue = queues[priority];
    queue.add(entry);
    if (entry.work.level === undefined) return;
    for (const other of [...queue]) {
      if (levelOf(other) <= levelOf(entry)) continue;
      queue.delete(other);
      queue.add(other);
    }
  }

  delete(entry: Entry<Payload>): void {
    const { variantKey, priority } = entry.work;
    const queues = this.#queues.get(variantKey)!;
    queues[priority].delete(entry);
    if (queues.INTERACTIVE.size + queues.BATCH.size === 0) this.#queues.delete(variantKey);
  }

  /** Notes that it is run: what comes after it depends on that. */
  run({ work }: Entry<Payload>): void {
    this.#interactive = work.priority === 'BATCH' ? 0 : this.#interactive + work.images;
  }

  /** Its next of all variants that may run; null: there is none. */
  next(mayRun: (variantKey: string) => boolean, now: number): Entry<Payload> | null {
    const heads: Record<Priority, Entry<Payload> | null> = { INTERACTIVE: null, BATCH: null };
    for (const [variantKey, queues] of this.#queues) {
      if (!mayRun(variantKey)) continue;
      heads.INTERACTIVE = firstOf(heads.INTERACTIVE, first(queues.INTERACTIVE));
      heads.BATCH = firstOf(heads.BATCH, first(queues.BATCH));
    }
    return this.#choose(heads.INTERACTIVE, heads.BATCH, now);
  }

  /** Its next of one variant. */
  nextOf(variantKey: string, now: number): Entry<Payload> | null {
    const queues = this.#queues.get(variantKey);
    return queues ? this.#choose(first(queues.INTERACTIVE), first(queues.BATCH), now) : null;
  }

  entriesOf(variantKey: string): readonly Entry<Payload>[] {
    const queues = this.#queues.get(variantKey);
    return queues ? [...queues.INTERACTIVE, ...queues.BATCH] : [];
  }

  #choose(interactive: Entry<Payload> | null, batch: Entry<Payload> | null, now: number) {
    if (!interactive || !batch) return interactive ?? batch;
    return isUrgent(batch, now) && this.#interactive >= INTERACTIVE_PER_BATCH ? batch : interactive;
  }
}

export function isUrgent({ work, cameAt }: Entry<unknown>, now: number): boolean {
  return work.priority === 'INTERACTIVE' || now - cameAt >= BATCH_YIELDS_MS;
}

function firstOf<Payload>(a: Entry<Payload> | null, b: Entry<Payload> | null): Entry<Payload> | null {
  if (!a || !b) return a ?? b;
  return (levelOf(b) - levelOf(a) || b.number - a.number) < 0 ? b : a;
}

function levelOf({ work }: Entry<unknown>): number {
  return work.level ?? 0;
}

function first<T>(set: Set<T>): T | null {
  for (const member of set) return member;
  return null;
}
