interface Share {
  workMs: number;
  weight: number;
}

/** What was admitted and is not answered, in estimated milliseconds of device time, by tenant. */
export class Backlog {
  readonly #shares = new Map<string, Share>();
  #workMs = 0;

  get workMs(): number {
    return this.#workMs;
  }

  add(tenant: string, weight: number, workMs: number): void {
    const share = this.#shares.get(tenant) ?? { workMs: 0, weight };
    share.workMs += workMs;
    share.weight = weight;
    this.#workMs += workMs;
    this.#shares.set(tenant, share);
    // What rounding leaves of nothing is nothing.
    if (share.workMs > 1e-6) return;
    this.#workMs -= share.workMs;
    this.#shares.delete(tenant);
  }

  /**
   * How much is worked off until the last of what a tenant has and `moreMs` is, where all that is here now is shared by weight:
   * of the others as much as falls to them meanwhile, and no more than they have.
   */
  until(tenant: string, weight: number, moreMs: number): number {
    const own = (this.#shares.get(tenant)?.workMs ?? 0) + moreMs;
    const perWeight = own / weight;
    let workMs = own;
    for (const [other, share] of this.#shares)
      if (other !== tenant) workMs += Math.min(share.workMs, share.weight * perWeight);
    return workMs;
  }

  /** A tenant's part of the weight of all who have something here, itself included. */
  shareOf(tenant: string, weight: number): number {
    let all = weight;
    for (const [other, share] of this.#shares) if (other !== tenant) all += share.weight;
    return weight / all;
  }
}
