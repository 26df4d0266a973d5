import { expect, test } from 'vitest';
import { judge, type Reading } from '../../../bench/soak/verdict.ts';

const MEGABYTE = 1e6;

/** A reading a minute. */
const hour = (memory: (minute: number) => number, loop: (minute: number) => number = () => 12): Reading[] =>
  Array.from({ length: 60 }, (_, index) => ({
    minute: index + 1,
    residentBytes: memory(index + 1),
    eventLoopP99Ms: loop(index + 1),
    ...{ answeredPerSecond: 50, latencyP99Ms: 80 },
  }));

test('memory that grows while it settles is flat, and one that grows for ever is not', () => {
  const settling = judge(hour((minute) => Math.min(minute, 10) * 30 * MEGABYTE));
  expect(settling).toMatchObject({ settlingMinutes: 10, memoryGrowth: 1, isMemoryFlat: true });
  const leaking = judge(hour((minute) => (300 + minute) * MEGABYTE));
  expect(leaking.memoryGrowth).toBeCloseTo(355 / 314, 1);
  expect(leaking.isMemoryFlat).toBe(false);
});

test('a stall of the event loop now and then is told and forgiven, one in five spans is not', () => {
  const flat = () => 300 * MEGABYTE;
  const rare = judge(hour(flat, (minute) => (minute % 20 === 0 ? 90 : 12)));
  expect(rare).toMatchObject({ eventLoopP99Ms: 12, worstEventLoopP99Ms: 90, isEventLoopFree: true });
  expect(judge(hour(flat, (minute) => (minute % 5 === 0 ? 90 : 12))).isEventLoopFree).toBe(false);
});
