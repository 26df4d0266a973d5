import { OipError } from '../../oip/errors.ts';

export interface AdmissionLimits {
  /** Inference requests that are received, wait, run or are answered. */
  readonly requests: number;
  /** The bytes of their bodies. */
  readonly bytes: number;
}

export interface Admitted {
  /** Tells how large it turned out to be. */
  weigh(bytes: number): void;
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

  /** Throws OipError 503 where there is no room for a request of `bytes`. */
  enter(bytes: number): Admitted {
    const { requests: mostRequests, bytes: mostBytes } = this.#limits;
    if (this.#requests + 1 > mostRequests || (this.#requests > 0 && this.#bytes + bytes > mostBytes)) {
      const found = `${this.#requests} requests of ${this.#bytes} bytes`;
      const limits = `${mostRequests} requests and ${mostBytes} bytes`;
      throw new OipError(
        503,
        `the worker has ${found} before it, and takes ${limits} at most: ask again later`,
      );
    }
    let weight = bytes;
    this.#requests += 1;
    this.#bytes += weight;
    return {
      weigh: (known) => {
        this.#bytes += known - weight;
        weight = known;
      },
      leave: () => {
        this.#requests -= 1;
        this.#bytes -= weight;
      },
    };
  }
}
