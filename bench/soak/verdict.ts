import { median, percentile } from '../load/figures.ts';

/** What was seen of the service in one span of some seconds. */
export interface Reading {
  /** Minutes since the beginning. */
  readonly minute: number;
  /** Resident memory of the API process. */
  readonly residentBytes: number;
  /** 99th percentile of the span, as `monitorEventLoopDelay` tells it: its own 10 ms included. */
  readonly eventLoopP99Ms: number;
  readonly answeredPerSecond: number;
  readonly latencyP99Ms: number;
}

export interface Verdict {
  /** Minutes at the beginning that do not count. */
  readonly settlingMinutes: number;
  /** Memory of the last fifth over that of the first fifth after settling. */
  readonly memoryGrowth: number;
  readonly isMemoryFlat: boolean;
  /** Of nine in ten spans, and of the worst. */
  readonly eventLoopP99Ms: number;
  readonly worstEventLoopP99Ms: number;
  readonly isEventLoopFree: boolean;
}

const SETTLING_MINUTES = 10;
const MOST_GROWTH = 1.05;
const MOST_DELAY_MS = 20;

/** A soak that is shorter than it takes to settle is judged after its first third, which proves little. */
export function judge(readings: readonly Reading[]): Verdict {
  const minutes = readings.at(-1)?.minute ?? 0;
  const settlingMinutes = minutes > 2 * SETTLING_MINUTES ? SETTLING_MINUTES : minutes / 3;
  const settled = readings.filter(({ minute }) => minute >= settlingMinutes);
  const fifth = Math.max(1, Math.floor(settled.length / 5));
  const memoryOf = (some: readonly Reading[]) => median(some.map(({ residentBytes }) => residentBytes));
  const memoryGrowth = memoryOf(settled.slice(-fifth)) / memoryOf(settled.slice(0, fifth));
  const delays = settled.map(({ eventLoopP99Ms }) => eventLoopP99Ms);
  const eventLoopP99Ms = percentile(delays, 90);
  return {
    settlingMinutes,
    memoryGrowth,
    isMemoryFlat: memoryGrowth <= MOST_GROWTH,
    eventLoopP99Ms,
    worstEventLoopP99Ms: percentile(delays, 100),
    isEventLoopFree: eventLoopP99Ms <= MOST_DELAY_MS,
  };
}
