import type { Run } from './start-generator.ts';
import type { Sample } from './stream.ts';

/** What a stream was answered, in figures. Latencies in milliseconds, from when a request was due. */
export interface Figures {
  readonly requests: number;
  /** Requests by what came of them. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Images answered a second, of those that were answered within the run. */
  readonly imagesPerSecond: number;
  /** Of the answered alone. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** By how much the generator sent later than it was due, 99th percentile: what of a latency may be its own. */
  readonly lateP99: number;
}

/** Leaves the first `warmUpMs` out. */
export function figuresOf({ from, to, samples }: Run, stream: string, warmUpMs = 0): Figures {
  const begun = from + warmUpMs;
  const due = (samples[stream] ?? []).filter(({ dueAt }) => dueAt >= begun);
  const latencies = latenciesOf(due);
  const within = (samples[stream] ?? []).filter(({ doneAt }) => doneAt >= begun && doneAt <= to);
  return {
    requests: due.length,
    outcomes: countBy(due, ({ outcome }) => outcome),
    imagesPerSecond: (sumOf(within.map(({ images }) => images)) / (to - begun)) * 1000,
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
    max: percentile(latencies, 100),
    lateP99: percentile(
      due.map(({ dueAt, sentAt }) => sentAt - dueAt),
      99,
    ),
  };
}

/** Milliseconds from due to done, of the answered. */
export function latenciesOf(samples: readonly Sample[]): number[] {
  return samples.filter(({ outcome }) => outcome === 'ANSWERED').map(({ dueAt, doneAt }) => doneAt - dueAt);
}

/** Nearest rank: a value that was really seen. NaN of none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

export function countBy<T>(values: readonly T[], name: (value: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[name(value)] = (counts[name(value)] ?? 0) + 1;
  return counts;
}
