import type { Lane } from './lane.ts';
import type { Moment } from './worker-speed.ts';

/** A batch that wants a worker. */
export interface Wanted {
  readonly variantKey: string;
  readonly images: number;
  /** Not these, where another is ready. */
  readonly avoided: ReadonlySet<Lane>;
  /** Whose it is; null: of several. */
  readonly tenant: string | null;
  /** Its worker is to have nothing else. */
  readonly isDoubtful: boolean;
}

export interface Circumstances {
  readonly now: Moment;
  /** Images that wait behind it. */
  readonly queued: number;
  /** Milliseconds to reckon with where no worker has run the variant yet. */
  readonly guessMs: number;
}

export interface Choice {
  readonly lane: Lane;
  /** Milliseconds that the batch should take it up; null: nobody knows. */
  readonly expectedMs: number | null;
}

/** Two workers of which one should be done at most so much later are as good as each other. */
const AS_GOOD = 1.1;

/**
 * Where a batch should be done first: behind what a worker has already, in the time that the worker takes. null: nowhere
 * yet, so wait. That is not only while no worker has room: where a fast one that is full would be done sooner than a slow one
 * that is free, the batch waits for the fast one. Whatever is queued behind would then wait for it as well, so the queue's
 * time counts there: a slow worker has its share in a rush, and nothing to do when it is quiet.
 */
export function chooseLane(
  lanes: readonly Lane[],
  { variantKey, images, avoided, tenant, isDoubtful }: Wanted,
  { now, queued, guessMs }: Circumstances,
): Choice | null {
  const possible = candidates(lanes, variantKey, avoided);
  const measured = possible
    .map(({ speed }) => speed.measuredMs(variantKey, images))
    .filter((ms) => ms !== null);
  const fastest = measured.length > 0 ? Math.min(...measured) : guessMs;
  const finishes = possible.map((lane) => {
    const isFull = lane.isFullFor(tenant) || (isDoubtful && lane.flights.size > 0);
    const expectedMs = lane.speed.expectedMs(variantKey, images, fastest, now);
    const queueMs = isFull ? (expectedMs * queued) / images / possible.length : 0;
    return { lane, isFull, expectedMs, doneMs: lane.leftMs(now.elapsed) + expectedMs + queueMs };
  });
  const soonest = Math.min(...finishes.map(({ doneMs }) => doneMs));
  const [best] = finishes
    .filter(({ doneMs }) => doneMs <= AS_GOOD * soonest)
    .sort((a, b) => Number(a.isFull) - Number(b.isFull) || a.lane.idleSince - b.lane.idleSince);
  if (!best || best.isFull) return null;
  return { lane: best.lane, expectedMs: measured.length > 0 ? best.expectedMs : null };
}

/** Of the workers for a batch that is to have one for itself, the one that should have nothing else first. */
export function laneToEmpty(lanes: readonly Lane[], { variantKey, avoided }: Wanted): Lane | null {
  const [lane] = [...candidates(lanes, variantKey, avoided)].sort((a, b) => a.flights.size - b.flights.size);
  return lane ?? null;
}

/** Whether one of those that a variant's batches are chosen from has room. */
export function hasRoomFor(lanes: readonly Lane[], variantKey: string, tenant: string | null): boolean {
  return candidates(lanes, variantKey, new Set()).some((lane) => !lane.isFullFor(tenant));
}

/** Whether the one worker that runs a variant is away for a moment, and those that are there will not load it: it is waited for. */
export function isAwaited(lanes: readonly Lane[], variantKey: string): boolean {
  const isFit = fitFor(variantKey);
  const isExpected = ({ isReady, worker }: Lane) =>
    !isReady && (worker.holds(variantKey) || worker.heldLately(variantKey));
  return !lanes.some((lane) => lane.isReady && isFit(lane)) && lanes.some(isExpected);
}

/** Those that are ready, and of these each time those alone that are better, where there are any. */
function candidates(lanes: readonly Lane[], variantKey: string, avoided: ReadonlySet<Lane>): readonly Lane[] {
  if (isAwaited(lanes, variantKey)) return [];
  let left = lanes.filter(({ isReady }) => isReady);
  const mostFree = Math.max(0, ...left.map(({ worker }) => worker.freeBytes ?? 0));
  const preferences: ((lane: Lane) => boolean)[] = [
    fitFor(variantKey),
    (lane) => !avoided.has(lane),
    // Any other would have to load it first.
    ({ worker }) => worker.holds(variantKey),
    ({ isMute }) => !isMute,
    // It runs nothing until it is done.
    ({ worker }) => !worker.loads.underWay,
    // It may hang, and a load says nothing of that for long.
    ({ worker }) => worker.holds(variantKey) || !worker.isSilent,
    // Others may have to unload what somebody else asks for.
    ({ worker }) => worker.holds(variantKey) || (worker.freeBytes ?? mostFree) >= mostFree / 2,
  ];
  for (const preference of preferences) {
    const better = left.filter(preference);
    if (better.length > 0) left = better;
  }
  return left;
}

function fitFor(variantKey: string): (lane: Lane) => boolean {
  return ({ worker }) => worker.holds(variantKey) || !worker.refuses(variantKey);
}
