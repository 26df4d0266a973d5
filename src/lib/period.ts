/** A period is a calendar month in UTC, named by its first instant: what quotas, bills and the coarsest usage go by. */
export function periodOf(instant: Date): Date {
  // Not by Date.UTC, which takes the years 0 to 99 for the twentieth century's.
  const start = new Date(instant);
  start.setUTCDate(1);
  start.setUTCHours(0, 0, 0, 0);
  return start;
}

/** When the period of `instant` ends, and its quota starts anew. */
export function periodAfter(instant: Date): Date {
  const start = periodOf(instant);
  start.setUTCMonth(start.getUTCMonth() + 1);
  return start;
}
