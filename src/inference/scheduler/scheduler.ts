import type { Priority } from '../request.ts';

/** One image waiting for its turn on a device. */
export interface Work<Payload> {
  /** Images of one variant share a batch, and nothing else does. */
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

/** So long a BATCH image lets every interactive one pass; then it is as good as they are, and cannot starve. */
const BATCH_YIELDS_MS = 1_000;

/** What one tenant has waiting, and how much of the device it has had. */
interface Flow<Payload> {
  /** Compute time over weight, milliseconds: whoever has least is next. */
  virtualTime: number;
  /** By variant and priority. Sets keep the order of arrival and forget a member in constant time. */
  readonly waiting: Map<string, Record<Priority, Set<Work<Payload>>>>;
}

/** An image that could be next, with what decides whether it is. */
interface Candidate<Payload> {
  readonly flow: Flow<Payload>;
  readonly work: Work<Payload>;
  readonly yields: boolean;
  readonly cameAt: number;
}

/**
 * Decides which images run next. A pure state machine: time is passed in, nothing is awaited, and whoever owns a device
 * asks `next` when it is free, so that a device never idles while an image waits.
 *
 * Tenants share the device by weight: each has a virtual time, which grows by an image's cost over the tenant's weight when
 * it is taken, and the one that is furthest behind is next (in the manner of start-time fair queueing: Goyal, Vin, Cheng,
 * SIGCOMM 1996). Whoever comes back from idling starts at the present virtual time: idling saves nothing up. Its image
 * chooses the variant; the rest of the batch is filled with images of that variant by the same rule.
 */
export class Scheduler<Payload> {
  readonly #flows = new Map<string, Flow<Payload>>();
  readonly #cameAt = new Map<Work<Payload>, number>();
  readonly #waiting = new Map<string, number>();
  /** Of the tenant served last, when its turn came. */
  #virtualTime = 0;

  get depth(): number {
    return this.#cameAt.size;
  }

  /** How many images of a variant wait; of variants with none nothing is said. */
  get waiting(): ReadonlyMap<string, number> {
    return this.#waiting;
  }

  enqueue(work: Work<Payload>, now: number): void {
    const flow = this.#flowOf(work.tenant);
    let queues = flow.waiting.get(work.variantKey);
    if (!queues) {
      queues = { INTERACTIVE: new Set(), BATCH: new Set() };
      flow.waiting.set(work.variantKey, queues);
    }
    queues[work.priority].add(work);
    this.#cameAt.set(work, now);
    this.#waiting.set(work.variantKey, (this.#waiting.get(work.variantKey) ?? 0) + 1);
  }

  /** False: it is not waiting any more. */
  remove(work: Work<Payload>): boolean {
    if (!this.#cameAt.delete(work)) return false;
    const { waiting } = this.#flows.get(work.tenant)!;
    const queues = waiting.get(work.variantKey)!;
    queues[work.priority].delete(work);
    if (queues.INTERACTIVE.size + queues.BATCH.size === 0) waiting.delete(work.variantKey);
    const others = this.#waiting.get(work.variantKey)! - 1;
    if (others > 0) this.#waiting.set(work.variantKey, others);
    else this.#waiting.delete(work.variantKey);
    return true;
  }

  /** `canRun`: whether a device is free that runs the variant: the others wait for theirs and hold up nobody. */
  next(now: number, canRun: (variantKey: string) => boolean = () => true): NextBatch<Payload> {
    const works: Work<Payload>[] = [];
    const expired: Work<Payload>[] = [];
    let room = Number.POSITIVE_INFINITY;
    for (;;) {
      const variantKey = works[0]?.variantKey ?? null;
      const next = this.#best(variantKey === null ? canRun : (key) => key === variantKey, now);
      if (!next || Math.min(room, next.work.maxBatch) <= works.length) break;
      const { flow, work } = next;
      this.remove(work);
      if (work.deadline <= now) {
        expired.push(work);
        continue;
      }
      works.push(work);
      room = Math.min(room, work.maxBatch);
      this.#virtualTime = Math.max(this.#virtualTime, flow.virtualTime);
      flow.virtualTime += work.cost / work.weight;
    }
    this.#forgetIdleFlows();
    return { batch: works[0] ? { variantKey: works[0].variantKey, works } : null, expired };
  }

  #flowOf(tenant: string): Flow<Payload> {
    let flow = this.#flows.get(tenant);
    if (!flow) {
      flow = { virtualTime: this.#virtualTime, waiting: new Map() };
      this.#flows.set(tenant, flow);
    }
    if (flow.waiting.size === 0) flow.virtualTime = Math.max(flow.virtualTime, this.#virtualTime);
    return flow;
  }

  /** One that has had more than the present virtual time is remembered: coming back at once must not wipe that out. */
  #forgetIdleFlows(): void {
    for (const [tenant, { waiting, virtualTime }] of this.#flows) {
      if (waiting.size === 0 && virtualTime <= this.#virtualTime) this.#flows.delete(tenant);
    }
  }

  #best(isWanted: (variantKey: string) => boolean, now: number): Candidate<Payload> | null {
    let best: Candidate<Payload> | null = null;
    for (const flow of this.#flows.values()) {
      for (const [variantKey, queue] of flow.waiting) {
        if (!isWanted(variantKey)) continue;
        for (const work of [first(queue.INTERACTIVE), first(queue.BATCH)]) {
          if (!work) continue;
          const cameAt = this.#cameAt.get(work)!;
          const yields = work.priority === 'BATCH' && now - cameAt < BATCH_YIELDS_MS;
          const candidate = { flow, work, yields, cameAt };
          if (!best || isBefore(candidate, best)) best = candidate;
        }
      }
    }
    return best;
  }
}

function isBefore<Payload>(a: Candidate<Payload>, b: Candidate<Payload>): boolean {
  if (a.yields !== b.yields) return b.yields;
  return (a.flow.virtualTime - b.flow.virtualTime || a.cameAt - b.cameAt) < 0;
}

function first<T>(set: Set<T>): T | undefined {
  const [member] = set;
  return member;
}
