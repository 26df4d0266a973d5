import { OipError } from '../../oip/errors.ts';

export interface AdmissionLimits {
  /** Inference requests that wait, run or are answered. */
  readonly requests: number;
  /** The bytes of their bodies and of those that are on their way, then of their answers. */
  readonly bytes: number;
}

export interface Admitted {
  /** Takes a place, once the body is here and its size known. Throws OipError 503 where none is free. */
  enter(bytes: number): void;
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

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /**
   * Room for a body of `bytes`, and no place yet: who announces a body and sends none would keep others out. Throws OipError
   * 503 where there is no room, or no place at present.
   */
  reserve(bytes: number): Admitted {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#limits.bytes) throw this.#full();
    this.#requirePlace();
    let [weight, places, hasLeft] = [bytes, 0, false];
    this.#bytes += weight;
    const weigh = (known: number) => {
      if (hasLeft) return; // Its client hung up in the midst of it.
      this.#bytes += known - weight;
      weight = known;
    };
    return {
      weigh,
      enter: (known) => {
        if (hasLeft) return;
        this.#requirePlace();
        places = 1;
        this.#requests += places;
        weigh(known);
      },
      leave: () => {
        weigh(0);
        this.#requests -= places;
        places = 0;
        hasLeft = true;
      },
    };
  }

  #requirePlace(): void {
    if (this.#requests >= this.#limits.requests) throw this.#full();
  }

  #full(): OipError {
    const found = `${this.#requests} requests of ${this.#bytes} bytes`;
    const limits = `${this.#limits.requests} requests and ${this.#limits.bytes} bytes`;
    return new OipError(
      503,
      `the worker has ${found} before it, and takes ${limits} at most: ask again later`,
    );
  }
}
