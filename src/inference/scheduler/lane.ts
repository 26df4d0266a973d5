import type { InferenceWorker } from '../pool/worker.ts';
import type { QueuedImage } from './batch.ts';
import { isDoubtful } from './load.ts';
import { type Moment, WorkerSpeed } from './worker-speed.ts';

/** A batch that a worker has. */
export interface Flight {
  readonly images: readonly QueuedImage[];
  readonly variantKey: string;
  readonly sentAt: number;
  /** How long it should take the worker up, milliseconds; null: nobody has run its variant yet. */
  readonly expectedMs: number | null;
  /** Loads that the worker had begun when it was sent. */
  readonly loads: number;
  /** How long it was waited for, since its worker last loaded something, milliseconds. */
  waitedMs: number;
  /** Its worker lives, but its answer may have been lost on the way. */
  isOverdue: boolean;
  /** Its images were sent to another worker, too. */
  isRepeated: boolean;
  /** Its worker gave no answer for so long meanwhile that how long it took says nothing. */
  wasSilent: boolean;
  /** The worker had nothing else all the while. */
  wasAlone: boolean;
}

/** A batch that takes its worker up for so many times as long as it should, and for a second at least, is suspicious. */
const SUSPICIOUS = { times: 8, atLeastMs: 1_000, unknownMs: 10_000 };
/**
 * One that has been silent for so many times as long as makes it suspect has hung. Elsewhere than on a CPU each size of a batch has
 * kernels of its own, which may be chosen as it first comes.
 */
const HUNG = { times: 2, atLeastMsOffCpu: 30_000 };
/**
 * What a shared one has at least. It is looked at once a second, so one look that fails says nothing. An answer waits there behind
 * what it runs for others, so a batch that takes long says little against the worker.
 */
const SHARED = { lapseMs: 2_000, silentMs: 3_000, overdueMs: 10_000 };
const OWN = { lapseMs: 0, silentMs: 0, overdueMs: Number.POSITIVE_INFINITY };

/** What a batch was to the worker that answered it. */
export interface Occupation {
  /** How long it took the worker up. */
  readonly ms: number;
  /** A model was loaded meanwhile. */
  readonly hasLoaded: boolean;
  /** It tells how fast the worker is. */
  readonly isTelling: boolean;
}

/** A worker as whoever gives it batches sees it: what it has, how fast it is, whether it is still to be trusted. */
export class Lane {
  readonly worker: InferenceWorker;
  readonly speed = new WorkerSpeed();
  readonly #flights = new Set<Flight>();
  #idleSince = 0;
  #answers = 0;
  /** When it last showed that it is alive: by an answer. */
  #answeredAt = 0;
  /** Without any sign that it lives. */
  #silentMs = 0;
  #isSuspect = false;

  constructor(worker: InferenceWorker) {
    this.worker = worker;
    worker.onReady(() => this.#trust());
    worker.onAlive?.(() => this.#trust());
  }

  get flights(): ReadonlySet<Flight> {
    return this.#flights;
  }

  /** Since when it has had nothing to do. */
  get idleSince(): number {
    return this.#idleSince;
  }

  /** Batches that it answered, be it by an error. */
  get answers(): number {
    return this.#answers;
  }

  get isSuspect(): boolean {
    return this.#isSuspect;
  }

  /** It lives, but has answered nothing since it was given a batch that is overdue: others are asked where there are any. */
  get isMute(): boolean {
    for (const { isOverdue, sentAt } of this.#flights)
      if (isOverdue && sentAt >= this.#answeredAt) return true;
    return false;
  }

  /**
   * Has given no sign of life for twice as long as makes it suspect, or would if nobody had run the variant, where it has not itself;
   * and for `leastMs`, or 30 s on anything but a CPU.
   */
  isHung(leastMs: number): boolean {
    const awaited = this.#awaited;
    if (awaited === null || this.#silentMs <= leastMs) return false;
    const isKnownHere = this.speed.measuredMs(awaited.variantKey, awaited.images.length) !== null;
    const boundMs = HUNG.times * boundOf(isKnownHere ? awaited : { expectedMs: null });
    const isOnCpu = ['cpu', 'wasm', null].includes(this.worker.stats().device);
    return this.#silentMs > Math.max(boundMs, isOnCpu ? 0 : HUNG.atLeastMsOffCpu);
  }

  /** The oldest batch whose answer may yet come; where all are overdue, the oldest. */
  get #awaited(): Flight | null {
    const [oldest] = this.#flights;
    return [...this.#flights].find(({ isOverdue }) => !isOverdue) ?? oldest ?? null;
  }

  /** Whether its answer to an image is still waited for. */
  isToAnswer(image: QueuedImage): boolean {
    if (this.#isSuspect) return false;
    for (const { isOverdue, images } of this.#flights) if (!isOverdue && images.includes(image)) return true;
    return false;
  }

  /** Whether it may be given work, as soon as it has room. */
  get isReady(): boolean {
    return this.worker.ready && !this.isSuspect;
  }

  /** Has as much as it is best given at once. */
  get isBusy(): boolean {
    return this.#flights.size >= this.worker.capacity || this.#isReserved;
  }

  /** Takes nothing of anybody now. */
  get isFull(): boolean {
    return this.worker.isShared ? this.#isReserved : this.isBusy;
  }

  /** `tenant` null: of whomever that may be. */
  isFullFor(tenant: string | null): boolean {
    if (!this.worker.isShared || tenant === null) return this.isFull;
    let own = 0;
    for (const { images } of this.#flights) if (images[0]!.ticket.tenant === tenant) own += 1;
    return own >= this.worker.capacity || this.#isReserved;
  }

  /** What it has is to be alone there, so that it is known what it died of. */
  get #isReserved(): boolean {
    for (const { images } of this.#flights) if (images.some(isDoubtful)) return true;
    return false;
  }

  /** Milliseconds until what it has should be done. */
  leftMs(now: number): number {
    // What its batches take there includes that they wait for each other, and for others'.
    if (this.worker.isShared)
      return Math.max(
        0,
        ...Array.from(this.#flights, (each) => (each.expectedMs ?? 0) - (now - each.sentAt)),
      );
    const [first] = this.#flights;
    const spent = first ? now - Math.max(first.sentAt, this.#answeredAt) : 0;
    let left = 0;
    for (const flight of this.#flights)
      left += Math.max(0, (flight.expectedMs ?? 0) - (flight === first ? spent : 0));
    return left;
  }

  begin(images: readonly QueuedImage[], variantKey: string, expectedMs: number | null, now: number): Flight {
    if (this.#flights.size === 0) this.#silentMs = 0;
    const { begun: loads } = this.worker.loads;
    const wasAlone = this.#flights.size === 0;
    for (const other of this.#flights) other.wasAlone = false;
    const flight: Flight = {
      ...{ images, variantKey, expectedMs, loads, sentAt: now },
      ...{ waitedMs: 0, isOverdue: false, isRepeated: false, wasSilent: false, wasAlone },
    };
    this.#flights.add(flight);
    return flight;
  }

  /** It answered, be it an error: it is alive. `ran`: the batch was run. */
  answered(flight: Flight, now: Moment, ran: boolean): Occupation {
    const { isShared } = this.worker;
    const ms = now.elapsed - (isShared ? flight.sentAt : Math.max(flight.sentAt, this.#answeredAt));
    const { begun, underWay } = this.worker.loads;
    const hasLoaded = begun !== flight.loads || underWay;
    const isTelling = ran && !hasLoaded && !flight.wasSilent;
    if (isTelling) this.speed.learn(flight.variantKey, flight.images.length, ms, now);
    this.#answeredAt = now.elapsed;
    this.#answers += 1;
    this.#trust();
    this.#leave(flight, now.elapsed);
    return { ms, hasLoaded, isTelling };
  }

  /** No answer will come. */
  lost(flight: Flight, now: number): void {
    this.#leave(flight, now);
  }

  /**
   * `ms` have passed, in which its answers would have been noticed. Answers true where it becomes suspect by that. While it
   * loads a model it runs nothing, which says nothing against it.
   */
  passed(ms: number): boolean {
    if (this.#flights.size === 0) return false;
    const { isShared, loads } = this.worker;
    const least = isShared ? SHARED : OWN;
    for (const flight of this.#flights) {
      flight.waitedMs = loads.underWay ? 0 : flight.waitedMs + ms;
      if (flight.waitedMs > Math.max(least.overdueMs, boundOf(flight))) flight.isOverdue = true;
    }
    this.#silentMs = loads.underWay ? 0 : this.#silentMs + ms;
    if (this.#isSuspect) return false;
    // What was lost says nothing of how long it should take over the rest.
    const bound = boundOf(this.#awaited!);
    const isSilentFor = (leastMs: number) => this.#silentMs > Math.max(leastMs, bound);
    if (this.isMute || isSilentFor(least.lapseMs))
      for (const flight of this.#flights) flight.wasSilent = true;
    this.#isSuspect = isSilentFor(least.silentMs);
    return this.#isSuspect;
  }

  #trust(): void {
    this.#silentMs = 0;
    this.#isSuspect = false;
  }

  #leave(flight: Flight, now: number): void {
    this.#flights.delete(flight);
    if (this.#flights.size === 0) this.#idleSince = now;
  }
}

function boundOf({ expectedMs }: Pick<Flight, 'expectedMs'>): number {
  const { times, atLeastMs, unknownMs } = SUSPICIOUS;
  return expectedMs === null ? unknownMs : Math.max(atLeastMs, times * expectedMs);
}
