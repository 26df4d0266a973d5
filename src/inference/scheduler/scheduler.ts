import { Filling } from './filling.ts';
import { type Entry, Flow, isUrgent } from './flow.ts';
import type { Batch, BatchCosts, Work } from './work.ts';

export interface NextBatch<Payload> {
  /** null: nothing may run now. */
  readonly batch: Batch<Payload> | null;
  /** Found on the way to be too late for it; they have left the queue. */
  readonly expired: readonly Work<Payload>[];
  /** When a batch that waits for more will wait no longer; null: nobody waits for that. */
  readonly askAgainAt: number | null;
}

/** Device time over weight by which two tenants may come to differ on account of rounds. */
export const QUANTUM_MS = 20;
/** No tenant has more credit: half of the quantum, since one may be this far behind when another is before it, and then the reverse. */
const MOST_CREDIT_MS = QUANTUM_MS / 2;

/**
 * By how much the device time over weight that two tenants get may differ, in any time through which both have something
 * waiting that may run: see `Scheduler`. `largestBatchMs`: of a full batch, over the lesser weight.
 */
export function serviceGapBoundMs(largestBatchMs: number): number {
  return 2 * largestBatchMs + QUANTUM_MS;
}

/**
 * Decides which images run next. A pure state machine: time is passed in, nothing is awaited, and whoever owns a device asks
 * `next` when it is free, so that a device never idles while something waits that is not told to.
 *
 * It is a deficit round robin over tenants (Shreedhar, Varghese, SIGCOMM 1995) in its surplus form: a tenant with credit may
 * be served, and goes into debt by the last thing it is served with. What it is served with is a share in a batch.
 *
 * - Credit is device time over weight. Everybody is granted the same; what one has had is charged. A round begins when nobody
 *   who waits has credit left: then all are granted so much that whoever has had least has `MOST_CREDIT_MS`.
 * - Whoever comes, for the first time or again, has that credit at most, and its debts but for what was granted since. So
 *   idling saves nothing up, and coming and going within a round gets no second share in it. As many as were there when a round
 *   began may join it; whoever comes then has no credit until the next, since a round that all may join need never end.
 * - The lead, whose image decides what variant runs, is one with credit: those that wait with something urgent (interactive, or
 *   BATCH for long) come before those that do not, and of these whoever has had least, so who comes new is next.
 * - The batch is filled by the same order with images of that variant, and then by tenants without credit, as long as none
 *   owes more than a full batch: so batches are full where it harms nobody.
 * - Each tenant pays its images' share of what the batch should cost, and when it has run, the difference to what it did.
 *
 * So while one waits its credit lies between −L and MOST_CREDIT_MS, L being a full batch over its weight: only who has credit
 * leads, and nobody rides beyond −L; and a round begins when all who wait are at 0 or below, and leaves the best at
 * MOST_CREDIT_MS. What a tenant got in some time is what was granted in it less what its credit grew by. What was granted is the
 * same for two that wait through all of it, so what they got differs by at most 2·(L + MOST_CREDIT_MS) = 2·L + QUANTUM_MS,
 * and by what the batches under way cost more or less than was charged. As a BATCH image's tenant takes part in each round, no
 * priority starves it.
 */
export class Scheduler<Payload> {
  readonly #costs: BatchCosts;
  readonly #entries = new Map<Work<Payload>, Entry<Payload>>();
  readonly #waiting = new Map<string, number>();
  /** Tenants with something waiting. */
  readonly #flows = new Map<string, Flow<Payload>>();
  /** Tenants without, whose charge would make a difference if they came back now. */
  readonly #idle = new Map<string, Flow<Payload>>();
  readonly #parts = new WeakMap<Batch<Payload>, ReadonlyMap<Flow<Payload>, number>>();
  /** Device time over weight that everybody has been granted so far, milliseconds. */
  #grantedMs = 0;
  /** How many more tenants may join the round. */
  #places = 0;
  #depth = 0;
  #arrivals = 0;

  constructor(costs: BatchCosts) {
    this.#costs = costs;
  }

  /** Images that wait. */
  get depth(): number {
    return this.#depth;
  }

  /** How many images of a variant wait; of variants with none nothing is said. */
  get waiting(): ReadonlyMap<string, number> {
    return this.#waiting;
  }

  /** What waits. */
  get works(): Iterable<Work<Payload>> {
    return this.#entries.keys();
  }

  /** Tenants that it remembers. */
  get tenants(): number {
    return this.#flows.size + this.#idle.size;
  }

  enqueue(work: Work<Payload>, now: number): void {
    const flow = this.#flowOf(work.tenant);
    this.#arrivals += 1;
    const entry = { work, flow, cameAt: now, number: this.#arrivals };
    this.#entries.set(work, entry);
    flow.add(entry);
    this.#count(work, work.images);
  }

  /** False: it is not waiting any more. */
  remove(work: Work<Payload>): boolean {
    const entry = this.#entries.get(work);
    if (entry) this.#leave(entry);
    return entry !== undefined;
  }

  /**
   * What a device that is free runs next. `canRun`: whether it runs the variant: what waits for another device keeps its place,
   * and its tenant takes no part in the rounds that begin meanwhile.
   */
  next(now: number, canRun: (variantKey: string) => boolean = () => true): NextBatch<Payload> {
    const expired: Work<Payload>[] = [];
    const held = new Map<string, number>();
    const known = new Map<string, boolean>();
    const mayRun = (variantKey: string) => {
      if (held.has(variantKey)) return false;
      const can = known.get(variantKey) ?? canRun(variantKey);
      known.set(variantKey, can);
      return can;
    };
    for (let lead = this.#lead(mayRun, now); lead; lead = this.#lead(mayRun, now)) {
      if (this.#isTooLate(lead, now)) {
        this.#leave(lead);
        expired.push(lead.work);
        continue;
      }
      const until = this.#gathersUntil(lead.work);
      if (until === null || until <= now)
        return { batch: this.#fill(lead, now, expired), expired, askAgainAt: null };
      held.set(lead.work.variantKey, until);
    }
    // A device is free and nobody wants it: nobody was kept from it, so nobody owes anybody anything.
    if (this.#depth === 0) this.#idle.clear();
    return { batch: null, expired, askAgainAt: held.size > 0 ? Math.min(...held.values()) : null };
  }

  /** What a batch did cost, once it has run: its tenants pay that instead of the estimate. */
  settle(batch: Batch<Payload>, actualMs: number): void {
    this.#charge(batch, actualMs - batch.estimatedMs);
    this.#parts.delete(batch);
  }

  #flowOf(tenant: string): Flow<Payload> {
    const present = this.#flows.get(tenant);
    if (present) return present;
    const flow = this.#idle.get(tenant) ?? new Flow<Payload>(tenant);
    if (flow.charged <= this.#grantedMs - MOST_CREDIT_MS) {
      flow.charged = this.#grantedMs - (this.#places > 0 ? MOST_CREDIT_MS : 0);
      this.#places -= 1;
    }
    this.#idle.delete(tenant);
    this.#flows.set(tenant, flow);
    return flow;
  }

  #leave(entry: Entry<Payload>): void {
    const { work, flow } = entry;
    this.#entries.delete(work);
    flow.delete(entry);
    if (flow.isIdle) {
      this.#flows.delete(flow.tenant);
      this.#idle.set(flow.tenant, flow);
    }
    this.#count(work, -work.images);
  }

  #count({ variantKey }: Work<Payload>, images: number): void {
    this.#depth += images;
    const waiting = (this.#waiting.get(variantKey) ?? 0) + images;
    if (waiting > 0) this.#waiting.set(variantKey, waiting);
    else this.#waiting.delete(variantKey);
  }

  #isTooLate({ work }: Entry<Payload>, now: number): boolean {
    return now + this.#costs.soonestMs(work.variantKey, now) >= work.deadline;
  }

  #lead(mayRun: (variantKey: string) => boolean, now: number): Entry<Payload> | null {
    const able = [...this.#flows.values()].filter((flow) => flow.hasAny(mayRun));
    if (able.length === 0) return null;
    const least = Math.min(...able.map(({ charged }) => charged));
    if (least >= this.#grantedMs) this.#beginRound(least);
    let lead: Entry<Payload> | null = null;
    for (const flow of able) {
      if (flow.charged >= this.#grantedMs) continue;
      const entry = flow.next(mayRun, now)!;
      if (!lead || isBefore(entry, lead, now)) lead = entry;
    }
    return lead;
  }

  /** `least`: what whoever has had least of those that may run has had. */
  #beginRound(least: number): void {
    this.#grantedMs = least + MOST_CREDIT_MS;
    this.#places = this.#flows.size;
    for (const flow of this.#flows.values()) flow.charged = Math.max(flow.charged, least);
    for (const [tenant, { charged }] of this.#idle) if (charged <= least) this.#idle.delete(tenant);
  }

  /** When a batch of the variant is to wait no longer for more; null: it needs none. */
  #gathersUntil({ variantKey, maxBatch, maxQueueDelayMs }: Work<Payload>): number | null {
    const size = this.#costs.batchSize(variantKey, maxBatch);
    if (maxQueueDelayMs <= 0 || this.#waiting.get(variantKey)! >= size) return null;
    const costMs = this.#costs.batchMs(variantKey, size);
    const bounds = [...this.#flows.values()]
      .flatMap((flow) => flow.entriesOf(variantKey))
      .map(({ cameAt, work }) => Math.min(cameAt + maxQueueDelayMs, work.deadline - costMs));
    return Math.min(...bounds);
  }

  #fill(lead: Entry<Payload>, now: number, expired: Work<Payload>[]): Batch<Payload> {
    const { variantKey } = lead.work;
    const filling = new Filling(lead, this.#costs, now);
    const take = (entry: Entry<Payload>) => {
      entry.flow.run(entry);
      this.#leave(entry);
    };
    take(lead);
    const riders = new Set<Rider<Payload>>();
    const comes = (flow: Flow<Payload>) => {
      const entry = this.#headOf(flow, variantKey, now, expired);
      const creditMs = this.#grantedMs - flow.charged;
      if (entry)
        riders.add({ entry, creditMs, isUrgent: isUrgent(entry, now), isAboard: filling.carries(flow) });
    };
    for (const flow of this.#flows.values()) if (flow.has(variantKey)) comes(flow);
    while (!filling.isFull) {
      const best = firstOf(riders, filling);
      if (!best) break;
      riders.delete(best);
      if (!filling.admits(best.entry, best.creditMs)) continue;
      filling.add(best.entry);
      take(best.entry);
      comes(best.entry.flow);
    }
    const { batch, parts } = filling.made;
    this.#parts.set(batch, parts);
    this.#charge(batch, batch.estimatedMs);
    return batch;
  }

  /** The tenant's next of the variant, once what is too late has left. */
  #headOf(flow: Flow<Payload>, variantKey: string, now: number, expired: Work<Payload>[]) {
    for (;;) {
      const entry = flow.nextOf(variantKey, now);
      if (!entry || !this.#isTooLate(entry, now)) return entry;
      this.#leave(entry);
      expired.push(entry.work);
    }
  }

  #charge(batch: Batch<Payload>, ms: number): void {
    for (const [flow, part] of this.#parts.get(batch) ?? []) flow.charged += (part * ms) / batch.images;
  }
}

/** A tenant's next that could go into a batch. */
interface Rider<Payload> {
  readonly entry: Entry<Payload>;
  /** But for what it has in the batch. */
  readonly creditMs: number;
  readonly isUrgent: boolean;
  /** Something of its tenant is in it already. */
  readonly isAboard: boolean;
}

function isBefore<Payload>(a: Entry<Payload>, b: Entry<Payload>, now: number): boolean {
  const [urgent, other] = [isUrgent(a, now), isUrgent(b, now)];
  if (urgent !== other) return urgent;
  return (a.flow.charged - b.flow.charged || a.number - b.number) < 0;
}

/** Tenants that have credit left with what they have in the batch; of these what is urgent; of that whose tenant has most. */
function firstOf<Payload>(riders: ReadonlySet<Rider<Payload>>, filling: Filling<Payload>) {
  let first: Rider<Payload> | null = null;
  let most = 0;
  for (const rider of riders) {
    const { entry, creditMs, isAboard } = rider;
    const left = isAboard ? creditMs - filling.shareMs(entry.flow) : creditMs;
    if (first && !ridesBefore(rider, left, first, most)) continue;
    first = rider;
    most = left;
  }
  return first;
}

function ridesBefore<Payload>(a: Rider<Payload>, left: number, b: Rider<Payload>, other: number): boolean {
  if (left > 0 !== other > 0) return left > 0;
  if (a.isUrgent !== b.isUrgent) return a.isUrgent;
  return (other - left || a.entry.number - b.entry.number) < 0;
}
