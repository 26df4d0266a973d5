import { BusyError } from '../../oip/errors.ts';

export interface AdmissionLimits {
  /** Inference requests that wait, run or are answered. */
  readonly requests: number;
  /** What has come of their bodies, then of their answers. */
  readonly bytes: number;
}

export interface Admitted {
  /** So many bytes of its body are here now, or will be in a moment. Throws BusyError where there is no room. */
  grow(bytes: number): void;
  /** Takes a place, once the body is here. Throws BusyError where none is free. */
  enter(): void;
  /** Says whose it is, once that has been read. Throws BusyError where that tenant has its share of what there is. */
  belong(tenant: string): void;
  /** Tells how many bytes there are in place of those before. */
  weigh(bytes: number): void;
  /** May be called again. */
  leave(): void;
}

interface Holding {
  requests: number;
  bytes: number;
}

/**
 * Bounds what inference requests take of the memory, from their first byte on: a full worker says so instead of ending. A tenant
 * may have as much of it as is still free (dynamic thresholds: Choudhury, Hahne, IEEE/ACM Transactions on Networking 1998), so
 * one alone can take half, and its flood leaves room for whoever comes.
 */
export class RequestAdmission {
  readonly #limits: AdmissionLimits;
  readonly #retryMs: () => number;
  readonly #ofTenant = new Map<string, Holding>();
  #requests = 0;
  #bytes = 0;
  #refused = 0;

  /** `retryMs`: after which there should be room again. */
  constructor(limits: AdmissionLimits, retryMs: () => number) {
    this.#limits = limits;
    this.#retryMs = retryMs;
  }

  /** Requests that were told to ask again later. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * A request whose body has `announced` bytes. It takes neither room nor a place until they come: who announces a body and
   * sends none must keep nobody out. Throws BusyError where there is neither at present.
   */
  admit(announced: number): Admitted {
    this.#requirePlace();
    this.#requireRoom(0, announced);
    let [weight, places, hasLeft] = [0, 0, false];
    let owner: string | null = null;
    const weigh = (known: number) => {
      if (hasLeft) return; // Its client hung up in the midst of it.
      if (owner !== null) this.#hold(owner, 0, known - weight);
      this.#bytes += known - weight;
      weight = known;
    };
    return {
      weigh,
      grow: (known) => {
        this.#requireRoom(weight, known);
        weigh(known);
      },
      enter: () => {
        if (hasLeft) return;
        this.#requirePlace();
        places = 1;
        this.#requests += places;
      },
      belong: (tenant) => {
        if (hasLeft) return;
        this.#requireShare(tenant, places, weight);
        owner = tenant;
        this.#hold(tenant, places, weight);
      },
      leave: () => {
        weigh(0);
        if (owner !== null) this.#hold(owner, -places, 0);
        this.#requests -= places;
        places = 0;
        hasLeft = true;
      },
    };
  }

  /** `bytes` in the place of `former`; one alone always has room. */
  #requireRoom(former: number, bytes: number): void {
    const others = this.#bytes - former;
    if (others > 0 && others + bytes > this.#limits.bytes) throw this.#full();
  }

  #requirePlace(): void {
    if (this.#requests >= this.#limits.requests) throw this.#full();
  }

  #requireShare(tenant: string, requests: number, bytes: number): void {
    const own = this.#ofTenant.get(tenant);
    if (!own) return;
    const free = this.#limits.requests - this.#requests;
    const freeBytes = this.#limits.bytes - this.#bytes;
    if (own.requests + requests <= free && own.bytes + bytes <= freeBytes) return;
    this.#refused += 1;
    const share = `${own.requests} requests of ${own.bytes} bytes of this tenant before it`;
    throw new BusyError(
      'tenant',
      `the worker has ${share}, which is as much as one may have now: ask again later`,
      this.#retryMs(),
    );
  }

  #hold(tenant: string, requests: number, bytes: number): void {
    const own = this.#ofTenant.get(tenant) ?? { requests: 0, bytes: 0 };
    own.requests += requests;
    own.bytes += bytes;
    if (own.requests === 0) this.#ofTenant.delete(tenant);
    else this.#ofTenant.set(tenant, own);
  }

  #full(): BusyError {
    this.#refused += 1;
    const found = `${this.#requests} requests of ${this.#bytes} bytes`;
    const limits = `${this.#limits.requests} requests and ${this.#limits.bytes} bytes`;
    return new BusyError(
      'full',
      `the worker has ${found} before it, and takes ${limits} at most: ask again later`,
      this.#retryMs(),
    );
  }
}
