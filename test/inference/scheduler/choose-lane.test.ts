import { describe, expect, it } from 'vitest';
import { chooseLane } from '../../../src/inference/scheduler/choose-lane.ts';
import type { Lane } from '../../../src/inference/scheduler/lane.ts';
import { laneAt, PaperWorker, paperImages } from './paper-worker.ts';

interface When {
  elapsed?: number;
  batches?: number;
  queued?: number;
  images?: number;
  avoided?: Lane;
  isDoubtful?: boolean;
}

function choose(lanes: readonly Lane[], when: When = {}) {
  const { elapsed = 0, batches = 0, queued = 0, images = 1, isDoubtful = false } = when;
  const avoided = new Set(when.avoided ? [when.avoided] : []);
  const circumstances = { now: { elapsed, batches }, queued, guessMs: 10 };
  return chooseLane(lanes, { variantKey: 'v', images, avoided, isDoubtful, tenant: null }, circumstances);
}

/** Gives a lane a batch of `images` that should take it `ms`, at `now`. */
function give(lane: Lane, ms: number, now = 0) {
  return lane.begin(paperImages(1), 'v', ms, now);
}

describe('a batch goes to the worker that should be done with it first', () => {
  it('the one with least left to do, in milliseconds and not in batches', () => {
    const [long, short] = [laneAt(10), laneAt(10)];
    give(long, 300);
    give(short, 40);
    give(short, 40);
    expect(choose([long, short])).toBeNull(); // The shorter is full, and still the sooner.
    const [one, two] = [laneAt(10), laneAt(10)];
    give(one, 300);
    give(two, 40);
    expect(choose([one, two])?.lane).toBe(two);
    // 280 ms later the first has 20 left, and the second should be done.
    expect(choose([one, two], { elapsed: 280 })?.lane).toBe(two);
    give(two, 100, 280);
    expect(choose([one, two], { elapsed: 280 })?.lane).toBe(one);
  });

  it('of those as good as each other, the one that has been idle for longest', () => {
    const lanes = [laneAt(10), laneAt(10.5), laneAt(10)];
    const order: number[] = [];
    for (let now = 0; now < 600; now += 100) {
      const { lane } = choose(lanes, { elapsed: now })!;
      order.push(lanes.indexOf(lane));
      lane.answered(give(lane, 10, now), { elapsed: now + 10, batches: 0 }, false);
    }
    expect(order).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it('one that answers nothing only where there is no other', () => {
    const worker = new PaperWorker('mute');
    worker.isShared = true;
    const [mute, slow] = [laneAt(10, worker), laneAt(200)];
    give(mute, 10);
    for (let second = 1; second <= 11; second += 1) {
      mute.passed(1_000);
      worker.showLife();
    }
    expect(mute.isMute).toBe(true);
    expect(choose([mute, slow])?.lane).toBe(slow);
    expect(choose([mute])?.lane).toBe(mute);
  });

  it('waits for a fast one that is full rather than for a slow one that is free', () => {
    const [fast, slow] = [laneAt(10, new PaperWorker('fast', 1)), laneAt(200)];
    expect(choose([slow, fast])?.lane).toBe(fast);
    give(fast, 10);
    expect(choose([slow, fast])).toBeNull();
    // A long batch there changes that.
    give(fast, 500);
    expect(choose([slow, fast])?.lane).toBe(slow);
  });

  it('lets a slow one have its share of a rush, since whoever waits behind would wait for the fast one, too', () => {
    const [fast, slow] = [laneAt(10, new PaperWorker('fast', 1)), laneAt(200)];
    give(fast, 10);
    expect(choose([slow, fast], { queued: 10 })).toBeNull();
    expect(choose([slow, fast], { queued: 100 })?.lane).toBe(slow);
  });

  it('tells how long it should take, once anybody has run the variant', () => {
    expect(choose([laneAt(null)])?.expectedMs).toBeNull();
    expect(choose([laneAt(10)], { images: 4 })?.expectedMs).toBeCloseTo(40);
    const [known, unknown] = [laneAt(10), laneAt(null)];
    give(known, 10);
    // A worker that has not run it is taken to be as fast as the fastest.
    expect(choose([known, unknown])).toMatchObject({ lane: unknown, expectedMs: 10 });
  });
});

describe('a worker that was slow', () => {
  const lanes = () => [laneAt(10), laneAt(150)] as const;

  it('is tried again after a while of work, not after a while of idleness, nor for each of many batches', () => {
    const [fast, slow] = lanes();
    for (const when of [{}, { elapsed: 60_000, batches: 3 }, { elapsed: 50, batches: 1_000 }])
      expect(choose([fast, slow], when)?.lane).toBe(fast);
    give(fast, 10, 20_000);
    expect(choose([fast, slow], { elapsed: 20_000, batches: 1_000 })?.lane).toBe(slow);
  });

  it('is slow again after one batch where it still is, and fast after one or two where it is not', () => {
    const later = { elapsed: 20_000, batches: 1_000 };
    const [fast, still] = lanes();
    give(fast, 10, later.elapsed);
    still.speed.learn('v', 1, 150, later);
    expect(choose([fast, still], later)?.lane).toBe(fast);
    const [, recovered] = lanes();
    recovered.speed.learn('v', 1, 10, later);
    expect(choose([fast, recovered], later)?.lane).toBe(recovered);
  });

  it('becomes known for it within some ten batches', () => {
    const [steady, slower] = [laneAt(10), laneAt(10)];
    for (let batch = 1; batch <= 10; batch += 1)
      slower.speed.learn('v', 1, 100, { elapsed: 100 * batch, batches: batch });
    give(steady, 10, 1_000);
    expect(choose([steady, slower], { elapsed: 1_000, batches: 10 })?.lane).toBe(steady);
  });
});

describe('nothing is given to', () => {
  it('a worker that is not ready, or that is suspect', () => {
    const [down, silent] = [laneAt(10), laneAt(10)];
    Object.assign(down.worker, { ready: false });
    expect(choose([down])).toBeNull();
    give(silent, 10);
    expect(silent.passed(1_001)).toBe(true);
    expect(choose([down, silent])).toBeNull();
    expect(choose([])).toBeNull();
  });

  it('the one where it failed, while another is ready', () => {
    const [where, other] = [laneAt(10), laneAt(100)];
    expect(choose([where, other], { avoided: where })?.lane).toBe(other);
    expect(choose([where], { avoided: where })?.lane).toBe(where);
  });

  it('one that would have to load the variant first, while another holds it, or that runs nothing since it loads', () => {
    const [loading, idle] = [new PaperWorker(), new PaperWorker()];
    const lanes = [laneAt(10, loading), laneAt(100, idle)];
    loading.held.clear();
    expect(choose(lanes)?.lane.worker).toBe(idle);
    idle.held.clear();
    expect(choose(lanes)?.lane.worker).toBe(loading);
    loading.loads = { begun: 1, underWay: true };
    expect(choose(lanes)?.lane.worker).toBe(idle);
    expect(choose([lanes[0]!])?.lane.worker).toBe(loading);
  });

  it('one that would not load the variant, while another may', () => {
    const [refusing, other] = [new PaperWorker(), new PaperWorker()];
    for (const worker of [refusing, other]) worker.held.clear();
    const lanes = [laneAt(null, refusing), laneAt(null, other)];
    refusing.refused.add('v');
    expect(choose(lanes)?.lane.worker).toBe(other);
    // Not even where the other lost it.
    expect(choose(lanes, { avoided: lanes[1]! })?.lane.worker).toBe(other);
    expect(choose([lanes[0]!])?.lane.worker).toBe(refusing);
  });

  it('one that would have to unload others for it, while another has room', () => {
    const [tight, roomy] = [new PaperWorker(), new PaperWorker()];
    for (const worker of [tight, roomy]) worker.held.clear();
    Object.assign(tight, { freeBytes: 2 ** 20 });
    Object.assign(roomy, { freeBytes: 2 ** 30 });
    expect(choose([laneAt(null, tight), laneAt(null, roomy)])?.lane.worker).toBe(roomy);
    tight.held.add('v');
    expect(choose([laneAt(null, tight), laneAt(null, roomy)])?.lane.worker).toBe(tight);
  });

  it('one that would have to load the variant and may hang, while another may not', () => {
    const [silent, other] = [new PaperWorker(), new PaperWorker()];
    for (const worker of [silent, other]) worker.held.clear();
    silent.isSilent = true;
    expect(choose([laneAt(null, silent), laneAt(null, other)])?.lane.worker).toBe(other);
    // One that holds it is busy, as far as anybody knows.
    silent.held.add('v');
    expect(choose([laneAt(10, silent), laneAt(null, other)])?.lane.worker).toBe(silent);
  });

  it('anyone, while the one worker that holds the variant is away for a moment and the others refuse it', () => {
    const [away, refusing] = [new PaperWorker(), new PaperWorker()];
    const lanes = [laneAt(10, away), laneAt(null, refusing)];
    refusing.held.clear();
    away.ready = false;
    away.held.clear();
    away.awaited.add('v');
    // Who has not refused it yet is asked.
    expect(choose(lanes)?.lane.worker).toBe(refusing);
    refusing.refused.add('v');
    expect(choose(lanes)).toBeNull();
    expect(choose(lanes, { avoided: lanes[0]! })).toBeNull();
    away.awaited.clear();
    expect(choose(lanes)?.lane.worker).toBe(refusing);
    away.held.add('v');
    away.becomeReady();
    expect(choose(lanes, { avoided: lanes[0]! })?.lane.worker).toBe(away);
  });
});
