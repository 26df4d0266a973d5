import { OipError } from '../../oip/errors.ts';

export interface AdmissionLimits {
  /** Inference requests that wait, run or are answered. */
  readonly requests: number;
  /** What has come of their bodies, then of their answers. */
  readonly bytes: number;
}

export interface Admitted {
  /** So many bytes of its body are here now, or will be in a moment. Throws OipError 503 where there is no room. */
  grow(bytes: number): void;
  /** Takes a place, once the body is here. Throws OipError 503 where none is free. */
  enter(): void;
  /** Tells how many bytes there are in place of those before. */
  weigh(bytes: number): void;
  /** May be called again. */
  leave(): void;
}

/** Bounds what inference requests take of the memory, from their first byte on: a full worker says so instead of ending. */
export class Admission {
  readonly #limits: AdmissionLimits;
  #requests = 0;
  #bytes = 0;
  #refused = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Requests that were told to ask again later. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * A request whose body has `announced` bytes. It takes neither room nor a place until they come: who announces a body and
   * sends none must keep nobody out. Throws OipError 503 where there is neither at present.
   */
  admit(announced: number): Admitted {
    this.#requirePlace();
    this.#requireRoom(0, announced);
    let [weight, places, hasLeft] = [0, 0, false];
    const weigh = (known: number) => {
      if (hasLeft) return; // Its client hung up in the midst of it.
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
      leave: () => {
        weigh(0);
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

  #full(): OipError {
    this.#refused += 1;
    const found = `${this.#requests} requests of ${this.#bytes} bytes`;
    const limits = `${this.#limits.requests} requests and ${this.#limits.bytes} bytes`;
    return new OipError(
      503,
      `the worker has ${found} before it, and takes ${limits} at most: ask again later`,
    );
  }
}
