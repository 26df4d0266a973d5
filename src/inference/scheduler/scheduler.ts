import type { Priority } from '../request.ts';

/** One image waiting for its turn on a device. */
export interface Work<Payload> {
  /** Images of one queue share a batch, and nothing else does. */
  readonly variantKey: string;
  /** Images that a batch with this one in it holds at most. */
  readonly maxBatch: number;
  readonly tenant: string;
  /** The tenant's share of a saturated device. */
  readonly weight: number;
  readonly priority: Priority;
  /** Estimated compute time of this image alone, milliseconds. */
  readonly cost: number;
  /** Milliseconds since the epoch; past it the image is not worth running. */
  readonly deadline: number;
  readonly payload: Payload;
}

export interface Batch<Payload> {
  readonly variantKey: string;
  readonly works: readonly Work<Payload>[];
}

export interface NextBatch<Payload> {
  /** null: nothing waits. */
  readonly batch: Batch<Payload> | null;
  /** Found past their deadline on the way; they have left the queue. */
  readonly expired: readonly Work<Payload>[];
}

/** How much later than it came a BATCH image is taken to have come: it yields to interactive ones, but never starves. */
const BATCH_YIELDS_MS = 1_000;

interface VariantQueue<Payload> {
  readonly key: string;
  /** Sets, because they keep the order of arrival and forget a member in constant time. */
  readonly INTERACTIVE: Set<Work<Payload>>;
  readonly BATCH: Set<Work<Payload>>;
}

/**
 * Decides which images run next: a queue per variant, served in the order of their oldest member. A pure state machine:
 * time is passed in, nothing is awaited, and whoever owns a device asks `next` when it is free, so that a device never
 * idles while an image waits.
 */
export class Scheduler<Payload> {
  readonly #queues = new Map<string, VariantQueue<Payload>>();
  readonly #cameAt = new Map<Work<Payload>, number>();

  get depth(): number {
    return this.#cameAt.size;
  }

  enqueue(work: Work<Payload>, now: number): void {
    let queue = this.#queues.get(work.variantKey);
    if (!queue) {
      queue = { key: work.variantKey, INTERACTIVE: new Set(), BATCH: new Set() };
      this.#queues.set(work.variantKey, queue);
    }
    queue[work.priority].add(work);
    this.#cameAt.set(work, now);
  }

  /** False: it is not waiting any more. */
  remove(work: Work<Payload>): boolean {
    if (!this.#cameAt.delete(work)) return false;
    const queue = this.#queues.get(work.variantKey)!;
    queue[work.priority].delete(work);
    if (queue.INTERACTIVE.size + queue.BATCH.size === 0) this.#queues.delete(work.variantKey);
    return true;
  }

  next(now: number): NextBatch<Payload> {
    const expired: Work<Payload>[] = [];
    for (;;) {
      const queue = this.#oldestQueue();
      if (!queue) return { batch: null, expired };
      const works = this.#take(queue, now, expired);
      if (works.length > 0) return { batch: { variantKey: queue.key, works }, expired };
    }
  }

  #take(queue: VariantQueue<Payload>, now: number, expired: Work<Payload>[]): Work<Payload>[] {
    const works: Work<Payload>[] = [];
    for (;;) {
      const work = this.#head(queue);
      if (!work || (works[0] && works.length >= Math.min(works[0].maxBatch, work.maxBatch))) return works;
      this.remove(work);
      (work.deadline <= now ? expired : works).push(work);
    }
  }

  #oldestQueue(): VariantQueue<Payload> | null {
    let oldest: VariantQueue<Payload> | null = null;
    let oldestRank = Number.POSITIVE_INFINITY;
    for (const queue of this.#queues.values()) {
      const rank = this.#rank(this.#head(queue)!);
      if (rank < oldestRank) {
        oldest = queue;
        oldestRank = rank;
      }
    }
    return oldest;
  }

  #head(queue: VariantQueue<Payload>): Work<Payload> | undefined {
    const [interactive] = queue.INTERACTIVE;
    const [batch] = queue.BATCH;
    if (!interactive || !batch) return interactive ?? batch;
    return this.#rank(interactive) <= this.#rank(batch) ? interactive : batch;
  }

  #rank(work: Work<Payload>): number {
    return this.#cameAt.get(work)! + (work.priority === 'BATCH' ? BATCH_YIELDS_MS : 0);
  }
}
