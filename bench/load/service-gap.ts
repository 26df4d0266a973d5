/** A piece of service that a tenant got: time of a device over the tenant's weight, and when it was done. */
export interface Service {
  readonly tenant: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly serviceMs: number;
}

/**
 * How far two tenants that always have work waiting drift apart: the largest difference, over all pairs and all spans of time,
 * between what the one and the other got of the device, over weight. The measure by which fair queueing is judged (Golestani,
 * INFOCOM 1994). A span's difference is that of two values of `W_a − W_b`, so the widest range of that is the largest.
 */
export function largestGap(services: readonly Service[]): number {
  const inOrder = services.toSorted((a, b) => a.at - b.at);
  const tenants = [...new Set(services.map(({ tenant }) => tenant))];
  let largest = 0;
  for (const [index, a] of tenants.entries()) {
    for (const b of tenants.slice(index + 1)) largest = Math.max(largest, rangeOf(inOrder, a, b));
  }
  return largest;
}

function rangeOf(inOrder: readonly Service[], a: string, b: string): number {
  let difference = 0;
  let least = 0;
  let most = 0;
  for (const { tenant, serviceMs } of inOrder) {
    if (tenant === a) difference += serviceMs;
    else if (tenant === b) difference -= serviceMs;
    least = Math.min(least, difference);
    most = Math.max(most, difference);
  }
  return most - least;
}
