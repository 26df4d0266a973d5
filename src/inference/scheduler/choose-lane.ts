import type { Lane } from './lane.ts';
import type { Moment } from './worker-speed.ts';

/** A batch that wants a worker. */
export interface Wanted {
  readonly variantKey: string;
  readonly images: number;
  /** Not these, where another is ready. */
  readonly avoided: ReadonlySet<Lane>;
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
  { variantKey, images, avoided }: Wanted,
  { now, queued, guessMs }: Circumstances,
): Choice | null {
  const candidates = narrow(lanes, variantKey, avoided);
  const measured = candidates
    .map(({ speed }) => speed.measuredMs(variantKey, images))
    .filter((ms) => ms !== null);
  const fastest = measured.length > 0 ? Math.min(...measured) : guessMs;
  const finishes = candidates.map((lane) => {
    const expectedMs = lane.speed.expectedMs(variantKey, images, fastest, now);
    const queueMs = lane.isFull ? (expectedMs * queued) / images / candidates.length : 0;
    return { lane, expectedMs, doneMs: lane.leftMs(now.elapsed) + expectedMs + queueMs };
  });
  const soonest = Math.min(...finishes.map(({ doneMs }) => doneMs));
  const [best] = finishes
    .filter(({ doneMs }) => doneMs <= AS_GOOD * soonest)
    .sort((a, b) => Number(a.lane.isFull) - Number(b.lane.isFull) || a.lane.idleSince - b.lane.idleSince);
  if (!best || best.lane.isFull) return null;
  return { lane: best.lane, expectedMs: measured.length > 0 ? best.expectedMs : null };
}

/** Whether one of those that a variant's batches are chosen from has room. */
export function hasRoomFor(lanes: readonly Lane[], variantKey: string): boolean {
  return narrow(lanes, variantKey, new Set()).some(({ isFull }) => !isFull);
}

/** Those that are ready, and of these each time those alone that are better, where there are any. */
function narrow(lanes: readonly Lane[], variantKey: string, avoided: ReadonlySet<Lane>): readonly Lane[] {
  const preferences: ((lane: Lane) => boolean)[] = [
    (lane) => !avoided.has(lane),
    // It would have to load it first. The pool sees to it that the others hold it soon.
    ({ worker }) => worker.holds(variantKey),
    // It answers nobody until it is done.
    ({ worker }) => !worker.loads.underWay,
  ];
  let left = lanes.filter(({ isReady }) => isReady);
  for (const preference of preferences) {
    const better = left.filter(preference);
    if (better.length > 0) left = better;
  }
  return left;
}
