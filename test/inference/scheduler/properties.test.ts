import { expect, it } from 'vitest';
import { type Circumstances, simulate } from './simulation.ts';

/** Works that come and batches that are asked for, over all worlds. */
const EVENTS = Number(process.env.FOVEA_TEST_SCHEDULER_EVENTS ?? 300_000);
const EVENTS_PER_WORLD = 3_000;

interface Kind {
  readonly kind: string;
  readonly share: number;
  readonly circumstances: Circumstances;
  /** Whether what tenants get is bounded there. */
  readonly isFair: boolean;
}

const kinds: readonly Kind[] = [
  { kind: 'one device', share: 0.4, circumstances: {}, isFair: true },
  { kind: 'several devices', share: 0.2, circumstances: { devices: 3 }, isFair: true },
  { kind: 'wrong estimates', share: 0.2, circumstances: { misestimate: 0.8 }, isFair: true },
  // Whoever waits for a fuller batch lets others pass.
  { kind: 'batches that wait', share: 0.2, circumstances: { delays: true, devices: 2 }, isFair: false },
];

it.each(kinds)(
  'keeps every promise in random worlds: $kind',
  ({ share, circumstances, isFair }) => {
    const worlds = Math.max(1, Math.round((EVENTS * share) / EVENTS_PER_WORLD));
    let [widest, total] = [0, 0];
    for (let seed = 1; seed <= worlds; seed += 1) {
      const { broken, batches, widestGapMs, gapBoundMs } = simulate(seed, EVENTS_PER_WORLD, circumstances);
      expect({ seed, broken }).toEqual({ seed, broken: [] });
      total += batches;
      if (isFair) expect({ seed, over: Math.max(0, widestGapMs - gapBoundMs) }).toEqual({ seed, over: 0 });
      widest = Math.max(widest, widestGapMs / gapBoundMs);
    }
    expect(total).toBeGreaterThan(100 * worlds);
    // It comes near enough to the bound that one less fair would be found out.
    expect(widest).toBeGreaterThan(0.5);
  },
  EVENTS,
);
