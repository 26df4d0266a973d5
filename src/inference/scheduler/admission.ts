import type { Clock } from '../../lib/clock.ts';
import { OverloadedError } from '../../lib/errors.ts';
import type { Variant } from '../variant.ts';
import { Backlog } from './backlog.ts';
import { DrainRate } from './drain-rate.ts';
import { type Demand, Places, placesEach, type Shortage } from './places.ts';
import type { BatchCosts } from './work.ts';

/** `late`: it would wait for longer than it may. */
export type ShedReason = Shortage['reason'] | 'late';

/** A request that wants to be decoded. */
export interface Applicant {
  readonly tenant: string;
  readonly weight: number;
  readonly variant: Pick<Variant, 'key' | 'maxBatch' | 'input'>;
  readonly images: number;
  /** Of these so many have yet to be fetched from somewhere: until they have come they keep nobody waiting. */
  readonly fetched: number;
  readonly timeoutMs: number;
}

/** What an admitted request has taken up. */
export interface Place {
  /** One of the images to be fetched has come. */
  arrived(): void;
  /** The request is over; called once. `ran`: so many of its images were served by a run of their own. */
  leave(ran: number): void;
}

export interface AdmissionOptions {
  /** Places for images: see `Places`. */
  readonly most: number;
  readonly costs: BatchCosts;
  /** Workers that share the work; each is taken to keep its pace until it is known. */
  readonly workers: () => number;
  readonly clock: Clock;
}

/**
 * An estimate of how long something waits is so much too short at times. Whoever is admitted by it and late all the same was decoded
 * for nothing; whoever is refused for it only makes a shorter queue, where there is time for several batches.
 */
const HEADROOM = 1.5;
/** So much work for each worker keeps everything busy. */
const ENOUGH_MS = 20;
const LONGEST_RETRY_MS = 60_000;
/** For so long at most what made a tenant's request late is taken to do so to its next one. */
const LATE_FOR_MS = 250;

/**
 * Decides before anything is decoded what is served and what is not: what is admitted and then dropped costs as much as what is
 * answered.
 *
 * - By `Places`, so that the decoded pixels of what waits take bounded memory.
 * - By time: what would be answered after its deadline, because of what is before it, is refused. That is reckoned by the rate at
 *   which answers are given and the tenant's share in it, so a flood is refused while others are not.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #places: Places;
  /** Of tenants with images here: the most time that one of their requests had lately. */
  readonly #longestMsOf = new Map<string, number>();
  readonly #backlog = new Backlog();
  readonly #drain = new DrainRate();
  readonly #shed = new Map<ShedReason, number>();
  /** Of tenants with images here of whom even one more would have been late a moment ago: until when it would be. */
  readonly #lateUntil = new Map<string, number>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#places = new Places(options.most);
  }

  /** Images admitted and not yet answered. */
  get admitted(): number {
    return this.#places.images;
  }

  /** Images refused so far, by reason. */
  get shed(): ReadonlyMap<ShedReason, number> {
    return this.#shed;
  }

  /** Throws OverloadedError with the time after which it should be admitted. */
  admit(applicant: Applicant): Place {
    const { tenant, weight, images, fetched } = applicant;
    const imageMs = this.#imageMs(applicant);
    const demand = { tenant, images, placesEach: placesEach(applicant.variant) };
    this.#requirePlaces(demand, weight, imageMs);
    this.#requireTime(applicant, imageMs);
    let [workMs, hasLeft] = [0, false];
    const take = (moreMs: number) => {
      workMs += moreMs;
      this.#backlog.add(tenant, weight, moreMs);
      const enoughMs = ENOUGH_MS * this.#workers;
      this.#drain.enough(this.#backlog.workMs >= enoughMs, this.#options.clock.elapsed());
    };
    const giveBack = this.#places.take(demand);
    this.#longestMsOf.set(tenant, Math.max(applicant.timeoutMs, this.#longestMsOf.get(tenant) ?? 0));
    take((images - fetched) * imageMs);
    return {
      arrived: () => {
        // Its request may be over by now: nobody would take back what it added.
        if (!hasLeft) take(imageMs);
      },
      leave: (ran) => {
        hasLeft = true;
        // Others that have as much time set it anew.
        if (this.#longestMsOf.get(tenant) === applicant.timeoutMs) this.#longestMsOf.delete(tenant);
        giveBack();
        if (this.#places.imagesOf(tenant) === 0) this.#forget(tenant);
        if (ran > 0) this.#drain.drained(ran * imageMs, this.#options.clock.elapsed());
        take(-workMs);
      },
    };
  }

  /**
   * Throws the OverloadedError that a request of the tenant would get from `admit`, where that is known without the request:
   * so a flood is refused before it is parsed. One with more time than any that the tenant has here may be refused with the others.
   */
  requireRoom({ tenant, weight }: Pick<Applicant, 'tenant' | 'weight'>): void {
    this.#requirePlaces(
      { tenant, images: 1, placesEach: 1 },
      weight,
      this.#backlog.workMs / Math.max(1, this.admitted),
    );
    const waitMs = (this.#lateUntil.get(tenant) ?? 0) - this.#options.clock.elapsed();
    if (waitMs <= 0) this.#lateUntil.delete(tenant);
    else throw this.#refusal('late', 1, 'A request of yours would just have been late.', waitMs);
  }

  get #workers(): number {
    return Math.max(1, this.#options.workers());
  }

  get #rate(): number {
    return this.#drain.rate ?? this.#workers;
  }

  /** Of device time that an image takes where batches are as large as pays. */
  #imageMs({ variant: { key, maxBatch } }: Applicant): number {
    const { costs } = this.#options;
    const images = costs.batchSize(key, maxBatch);
    return costs.batchMs(key, images) / images;
  }

  #requirePlaces(demand: Demand, weight: number, imageMs: number): void {
    const shortage = this.#places.shortageFor(demand);
    if (shortage === null) return;
    const { tenant, images } = demand;
    const { reason } = shortage;
    const waitMs = (shortage.images * imageMs) / this.#rate;
    // How full it is for others is nobody's business.
    if (reason === 'full') throw this.#refusal(reason, images, 'The queue is full.', waitMs);
    const own = this.#places.imagesOf(tenant);
    throw this.#refusal(
      reason,
      images,
      `You have ${own} images waiting or running, and there is no room for ${images} more of yours now.`,
      waitMs / this.#backlog.shareOf(tenant, weight),
    );
  }

  #requireTime(applicant: Applicant, imageMs: number): void {
    const { tenant, weight, images, fetched, timeoutMs } = applicant;
    const workMs = (images - fetched) * imageMs;
    const allowedMs = timeoutMs / HEADROOM;
    // What would be late with nothing before it is not refused for what is: it is told that it was too late.
    if (workMs / this.#rate > allowedMs) return;
    const waitMs = (moreMs: number) => this.#backlog.until(tenant, weight, moreMs) / this.#rate;
    const ownMs = waitMs(workMs);
    const lateMs = ownMs - allowedMs;
    if (lateMs <= 0) return;
    // What has little time is late where others of the tenant's are not.
    const longestMs = Math.max(timeoutMs, this.#longestMsOf.get(tenant) ?? 0) / HEADROOM;
    const oneLateMs = Math.min(waitMs(imageMs) - longestMs, LATE_FOR_MS);
    if (oneLateMs > 0 && this.#places.imagesOf(tenant) > 0)
      this.#lateUntil.set(tenant, this.#options.clock.elapsed() + oneLateMs);
    throw this.#refusal(
      'late',
      images,
      `It would take ${Math.ceil(ownMs)} to ${Math.ceil(ownMs * HEADROOM)} ms to answer this, and it has ${timeoutMs} ms.`,
      lateMs,
    );
  }

  #refusal(reason: ShedReason, images: number, message: string, waitMs: number): OverloadedError {
    this.#shed.set(reason, (this.#shed.get(reason) ?? 0) + images);
    const retryAfterMs = Math.min(LONGEST_RETRY_MS, Math.max(1, Math.ceil(waitMs)));
    return new OverloadedError(`${message} Try again later.`, { retryAfterMs });
  }

  #forget(tenant: string): void {
    this.#longestMsOf.delete(tenant);
    this.#lateUntil.delete(tenant);
  }
}
