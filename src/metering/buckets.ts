import { BadUserInputError } from '../lib/errors.ts';
import { periodAfter, periodOf } from '../lib/period.ts';

export type UsageBucket = 'HOUR' | 'DAY' | 'MONTH';

export interface Span {
  readonly from: Date;
  /** Exclusive. */
  readonly to: Date;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/**
 * More than anyone reads. Each bucket has a point for every group in it, so that this alone limits no answer: it refuses
 * what need not be asked of the database.
 */
const mostBuckets = 10_000;

/** `from` rounded down and `to` rounded up to whole buckets in UTC. Throws BadUserInputError where `from` is not before `to`. */
export function wholeBuckets({ from, to }: Span, bucket: UsageBucket): Span {
  if (!(from < to)) {
    throw new BadUserInputError(
      `"from" is ${from.toISOString()} and "to" is ${to.toISOString()}: "from" must be before "to", which is exclusive.`,
    );
  }
  if (bucket === 'MONTH') {
    const last = periodOf(to);
    return { from: periodOf(from), to: last.getTime() === to.getTime() ? to : periodAfter(last) };
  }
  // UTC has neither time zones nor, to computers, leap seconds: hours and days are of one length.
  const length = bucket === 'HOUR' ? hourMs : dayMs;
  return {
    from: new Date(Math.floor(from.getTime() / length) * length),
    to: new Date(Math.ceil(to.getTime() / length) * length),
  };
}

/** Throws BadUserInputError where `span`, in whole buckets, has too many of them. */
export function limitBuckets(span: Span, bucket: UsageBucket): void {
  const count = countBuckets(span, bucket);
  if (count > mostBuckets) {
    throw new BadUserInputError(
      `From "from" to "to" there are ${count} buckets of one ${bucket}, at most ${mostBuckets} are allowed: ask for a shorter time or a longer bucket.`,
    );
  }
}

function countBuckets({ from, to }: Span, bucket: UsageBucket): number {
  if (bucket === 'MONTH') {
    return (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth();
  }
  return (to.getTime() - from.getTime()) / (bucket === 'HOUR' ? hourMs : dayMs);
}

/** Whether both ends lie between two days in UTC. */
export function isWholeDays({ from, to }: Span): boolean {
  return from.getTime() % dayMs === 0 && to.getTime() % dayMs === 0;
}
