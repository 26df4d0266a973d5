import type { NextBatch } from '../../../src/inference/scheduler/scheduler.ts';
import type { Batch, BatchCosts, Work } from '../../../src/inference/scheduler/work.ts';

/** Of two tenants that both wait: by how much one was served more since then, milliseconds over weight. */
interface Gap {
  now: number;
  least: number;
  most: number;
}

/** Watches what a scheduler does with what it is given, and remembers each promise that it broke. */
export class Audit<Payload> {
  readonly broken: string[] = [];
  /** The widest that any gap came to be, milliseconds over weight. */
  widestGapMs = 0;
  given = 0;
  readonly #costs: BatchCosts;
  /** By tenant, priority and variant, in the order of arrival. */
  readonly #waiting = new Map<string, Set<Work<Payload>>>();
  readonly #waitingOf = new Map<string, number>();
  readonly #gaps = new Map<string, Map<string, Gap>>();

  constructor(costs: BatchCosts) {
    this.#costs = costs;
  }

  get depth(): number {
    let depth = 0;
    for (const queue of this.#waiting.values()) for (const { images } of queue) depth += images;
    return depth;
  }

  get works(): Work<Payload>[] {
    return [...this.#waiting.values()].flatMap((queue) => [...queue]);
  }

  came(work: Work<Payload>): void {
    const queue = this.#waiting.get(queueOf(work)) ?? new Set();
    this.#waiting.set(queueOf(work), queue.add(work));
    const others = this.#waitingOf.get(work.tenant) ?? 0;
    this.#waitingOf.set(work.tenant, others + 1);
    if (others > 0) return;
    this.#gaps.set(work.tenant, new Map());
    for (const [other, gaps] of this.#gaps) {
      if (other === work.tenant) continue;
      const gap = { now: 0, least: 0, most: 0 };
      gaps.set(work.tenant, gap);
    }
  }

  /** It gave up. */
  removed(work: Work<Payload>): void {
    this.#left(work);
    this.#endGaps();
  }

  /** What `Scheduler.next` answered. */
  answered({ batch, expired }: NextBatch<Payload>, now: number): void {
    this.#expired(expired, now);
    if (batch) this.#gave(batch, now);
    this.#endGaps();
  }

  #left(work: Work<Payload>): void {
    if (!this.#waiting.get(queueOf(work))?.delete(work)) this.#break('gave out what was not waiting');
    const others = this.#waitingOf.get(work.tenant)! - 1;
    this.#waitingOf.set(work.tenant, others);
  }

  #expired(works: readonly Work<Payload>[], now: number): void {
    for (const work of works) {
      if (now + this.#costs.soonestMs(work.variantKey, now) < work.deadline)
        this.#break('dropped what could have been in time');
      this.#left(work);
    }
  }

  #gave(batch: Batch<Payload>, now: number): void {
    const { works, variantKey, images, estimatedMs } = batch;
    this.given += 1;
    if (images !== sum(works.map((work) => work.images)))
      this.#break('counted the images of a batch wrongly');
    if (estimatedMs !== this.#costs.batchMs(variantKey, images))
      this.#break('charged another than the estimate');
    for (const work of works) {
      const [oldest] = this.#waiting.get(queueOf(work)) ?? [];
      if (oldest !== work) this.#break('changed the order of what one tenant asked for');
      if (work.variantKey !== variantKey) this.#break('mixed variants in a batch');
      if (works.length > 1 && images > work.maxBatch) this.#break('made a batch too large');
      if (now + this.#costs.soonestMs(variantKey, now) >= work.deadline)
        this.#break('gave out what had expired');
      const inTime = now + this.#costs.batchMs(variantKey, work.images) <= work.deadline;
      if (inTime && now + estimatedMs > work.deadline) this.#break('made a batch too large for a deadline');
      this.#left(work);
    }
    this.charged(batch, estimatedMs);
  }

  /** Its tenants were charged so much for the batch, or so much more or less. */
  charged({ works, images }: Batch<Payload>, ms: number): void {
    const served = new Map<string, number>();
    for (const { tenant, weight, images: part } of works)
      served.set(tenant, (served.get(tenant) ?? 0) + (ms * part) / images / weight);
    for (const [tenant, gaps] of this.#gaps) {
      for (const [other, gap] of gaps) {
        gap.now += (served.get(tenant) ?? 0) - (served.get(other) ?? 0);
        gap.least = Math.min(gap.least, gap.now);
        gap.most = Math.max(gap.most, gap.now);
        this.widestGapMs = Math.max(this.widestGapMs, gap.most - gap.least);
      }
    }
  }

  /** What it served last counts for a tenant whom it left with nothing; from then on nothing does. */
  #endGaps(): void {
    for (const tenant of this.#gaps.keys()) {
      if (this.#waitingOf.get(tenant)! > 0) continue;
      this.#gaps.delete(tenant);
      for (const gaps of this.#gaps.values()) gaps.delete(tenant);
    }
  }

  #break(promise: string): void {
    this.broken.push(promise);
  }
}

function queueOf({ tenant, priority, variantKey }: Work<unknown>): string {
  return `${tenant} ${priority} ${variantKey}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
