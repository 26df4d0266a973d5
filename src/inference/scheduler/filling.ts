import type { Entry, Flow } from './flow.ts';
import type { Batch, BatchCosts } from './work.ts';

/** A batch while it is put together: what still goes into it, and what each tenant has to pay for it. */
export class Filling<Payload> {
  readonly #costs: BatchCosts;
  readonly #now: number;
  readonly #variantKey: string;
  readonly #entries: Entry<Payload>[] = [];
  /** Images over weight, by tenant. */
  readonly #parts = new Map<Flow<Payload>, number>();
  #images = 0;
  #perImageMs = 0;
  #limit: number;
  readonly #fullMs: number;
  /** By when it has to be done. */
  #due = Number.POSITIVE_INFINITY;

  /** `lead` goes into it whatever that costs. */
  constructor(lead: Entry<Payload>, costs: BatchCosts, now: number) {
    const { variantKey, maxBatch, images } = lead.work;
    this.#costs = costs;
    this.#now = now;
    this.#variantKey = variantKey;
    this.#limit = Math.max(images, costs.batchSize(variantKey, maxBatch));
    this.#fullMs = costs.batchMs(variantKey, this.#limit);
    this.add(lead);
  }

  get isFull(): boolean {
    return this.#images >= this.#limit;
  }

  carries(flow: Flow<Payload>): boolean {
    return this.#parts.has(flow);
  }

  /** Device time over weight that a tenant is to be charged for the batch as it is, milliseconds. */
  shareMs(flow: Flow<Payload>): number {
    return (this.#parts.get(flow) ?? 0) * this.#perImageMs;
  }

  /** Whether there is room for it, everything is done in time with it, and its tenant owes no more than a full batch then. */
  admits({ work, flow }: Entry<Payload>, creditMs: number): boolean {
    const images = this.#images + work.images;
    if (images > Math.min(this.#limit, work.maxBatch)) return false;
    const costMs = this.#costMs(images);
    if (this.#now + costMs > Math.min(this.#due, this.#dueOf(work))) return false;
    const part = (this.#parts.get(flow) ?? 0) + work.images / work.weight;
    return creditMs - (part * costMs) / images >= -this.#fullMs / work.weight;
  }

  add(entry: Entry<Payload>): void {
    const { flow, work } = entry;
    this.#entries.push(entry);
    this.#parts.set(flow, (this.#parts.get(flow) ?? 0) + work.images / work.weight);
    this.#images += work.images;
    this.#perImageMs = this.#costMs(this.#images) / this.#images;
    this.#limit = Math.min(this.#limit, Math.max(this.#images, work.maxBatch));
    this.#due = Math.min(this.#due, this.#dueOf(work));
  }

  /** The batch as it is, and what it has of each tenant: images over weight. */
  get made(): { batch: Batch<Payload>; parts: ReadonlyMap<Flow<Payload>, number> } {
    const works = this.#entries.map(({ work }) => work);
    const images = this.#images;
    const batch = { variantKey: this.#variantKey, works, images, estimatedMs: this.#costMs(images) };
    return { batch, parts: this.#parts };
  }

  #costMs(images: number): number {
    return this.#costs.batchMs(this.#variantKey, images);
  }

  /** What would be late even in a batch of its own, and may be lucky all the same, makes no other batch smaller. */
  #dueOf({ images, deadline }: Entry<Payload>['work']): number {
    return this.#now + this.#costMs(images) > deadline ? Number.POSITIVE_INFINITY : deadline;
  }
}
