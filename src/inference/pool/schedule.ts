/** Whose a batch is, and when it should be run: for a worker that several processes share, which chooses among them. */
export interface Schedule {
  readonly tenant: string;
  readonly weight: number;
  readonly isUrgent: boolean;
  /** From now on it is of use for so long, milliseconds. */
  readonly timeoutMs: number;
}

/** Behind the level of those that say nothing, 50. */
const NOT_URGENT = 75;

/** The parameters of `fovea_scheduling`. */
export function scheduleParameters({ tenant, weight, isUrgent, timeoutMs }: Schedule) {
  const timeout = Math.max(1, Math.round(timeoutMs * 1_000));
  return {
    ...{ tenant, weight },
    ...(Number.isSafeInteger(timeout) && { timeout }),
    ...(!isUrgent && { priority: NOT_URGENT }),
  };
}
