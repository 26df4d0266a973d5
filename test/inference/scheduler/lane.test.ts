import { expect, it } from 'vitest';
import { laneAt, PaperWorker, paperImages } from './paper-worker.ts';

const at = (elapsed: number) => ({ elapsed, batches: 0 });

it('suspects a worker that takes eight times as long as it should, and a second at least', () => {
  for (const { expectedMs, boundMs } of [
    { expectedMs: 10, boundMs: 1_000 },
    { expectedMs: 500, boundMs: 4_000 },
    { expectedMs: null, boundMs: 10_000 },
  ]) {
    const lane = laneAt(null);
    lane.begin(paperImages(1), 'v', expectedMs, 0);
    expect(lane.passed(boundMs)).toBe(false);
    expect(lane.isReady).toBe(true);
    expect(lane.passed(1)).toBe(true);
    expect(lane.isReady).toBe(false);
    // It is told once.
    expect(lane.passed(boundMs)).toBe(false);
  }
});

it('takes a worker to have hung that is silent for twice as long as makes it suspect, and for as long as it is told', () => {
  for (const { hasRun = true, expectedMs, leastMs, device = 'cpu', boundMs } of [
    { expectedMs: 10, leastMs: 5_000, boundMs: 5_000 },
    { expectedMs: 10, leastMs: 0, boundMs: 2_000 },
    { expectedMs: 500, leastMs: 5_000, boundMs: 8_000 },
    // As others say; it has not run it itself.
    { expectedMs: 10, leastMs: 5_000, hasRun: false, boundMs: 20_000 },
    { expectedMs: 10, leastMs: 5_000, device: 'cuda:0', boundMs: 30_000 },
    { expectedMs: 2_000, leastMs: 5_000, device: 'cuda:0', boundMs: 32_000 },
  ]) {
    const worker = new PaperWorker();
    worker.device = device;
    const lane = laneAt(hasRun ? 10 : null, worker);
    expect(lane.isHung(0)).toBe(false);
    const flight = lane.begin(paperImages(1), 'v', expectedMs, 0);
    worker.loads = { begun: 1, underWay: true };
    lane.passed(60_000);
    worker.loads = { begun: 1, underWay: false };
    lane.passed(boundMs - 100);
    lane.passed(100);
    expect(lane.isHung(leastMs)).toBe(false);
    lane.passed(1);
    expect(lane.isHung(leastMs)).toBe(true);
    lane.lost(flight, 0);
    expect(lane.isHung(0)).toBe(false);
  }
});

it('suspects none that has nothing to do, that loads a model, or that has just answered', () => {
  const worker = new PaperWorker();
  const lane = laneAt(null, worker);
  expect(lane.passed(60_000)).toBe(false);
  const first = lane.begin(paperImages(1), 'v', 10, 0);
  worker.loads = { begun: 1, underWay: true };
  expect(lane.passed(60_000)).toBe(false);
  worker.loads = { begun: 1, underWay: false };
  expect(lane.passed(900)).toBe(false);
  lane.begin(paperImages(1), 'v', 10, 900);
  lane.answered(first, at(900), true);
  expect(lane.passed(900)).toBe(false);
  expect(lane.passed(200)).toBe(true);
});

it('trusts a suspect again that answers, be it by an error, and one that has come back', () => {
  const worker = new PaperWorker();
  const lane = laneAt(null, worker);
  const flights = [1, 2].map(() => lane.begin(paperImages(1), 'v', 10, 0));
  lane.passed(2_000);
  lane.answered(flights[0]!, at(2_000), false);
  expect(lane.isReady).toBe(true);
  lane.passed(2_000);
  lane.lost(flights[1]!, 4_000);
  expect(lane.isReady).toBe(false);
  worker.becomeReady();
  expect(lane.isReady).toBe(true);
});

it('gives a shared worker three seconds to show that it lives', () => {
  const worker = new PaperWorker();
  worker.isShared = true;
  const lane = laneAt(null, worker);
  lane.begin(paperImages(1), 'v', 10, 0);
  expect(lane.passed(3_000)).toBe(false);
  expect(lane.passed(1)).toBe(true);
  worker.showLife();
  expect(lane.isReady).toBe(true);
});

it('trusts a shared worker that lives, but waits ten seconds alone for any of its answers, which may have been lost', () => {
  const worker = new PaperWorker();
  worker.isShared = true;
  const lane = laneAt(null, worker);
  const [lost, slow] = [10, 2_000].map((expectedMs) => lane.begin(paperImages(1), 'v', expectedMs, 0));
  const second = (at: number) => {
    // It answers others all the while.
    lane.answered(lane.begin(paperImages(1), 'v', 10, at), { elapsed: at + 1_000, batches: 0 }, true);
    lane.passed(1_000);
    worker.showLife();
    return [lost!.isOverdue, slow!.isOverdue];
  };
  const seconds = Array.from({ length: 17 }, (_, index) => second(1_000 * index));
  expect(seconds.findIndex(([isLost]) => isLost)).toBe(10);
  expect(seconds.findIndex(([, isSlow]) => isSlow)).toBe(16);
  expect([lane.isReady, lane.isMute]).toEqual([true, false]);
});

it('tells of a shared worker that lives and answers nothing at all, until it answers', () => {
  const worker = new PaperWorker();
  worker.isShared = true;
  const lane = laneAt(null, worker);
  const [lost, next] = [0, 0].map((at) => lane.begin(paperImages(1), 'v', 10, at));
  lane.answered(next!, at(0), true);
  for (let second = 1; second <= 11; second += 1) {
    expect(lane.isMute).toBe(false);
    lane.passed(1_000);
    worker.showLife();
  }
  expect([lost!.isOverdue, lane.isMute, lane.isReady]).toEqual([true, true, true]);
  lane.answered(lane.begin(paperImages(1), 'v', 10, 11_000), at(11_100), true);
  expect(lane.isMute).toBe(false);
});

it('is to answer what it has been given, but for what is overdue, and for all while it is silent', () => {
  const worker = new PaperWorker();
  worker.isShared = true;
  const lane = laneAt(null, worker);
  const [lost, slow, stranger] = paperImages(3);
  lane.begin([lost!], 'v', 10, 0);
  lane.begin([slow!], 'v', 2_000, 0);
  const answered = () => [lost, slow, stranger].map((image) => lane.isToAnswer(image!));
  expect(answered()).toEqual([true, true, false]);
  for (let second = 1; second <= 11; second += 1) {
    lane.passed(1_000);
    worker.showLife();
  }
  expect(answered()).toEqual([false, true, false]);
  lane.passed(17_000);
  expect(answered()).toEqual([false, false, false]);
});

it('measures nothing of what a shared worker that answered nothing was given', () => {
  const worker = new PaperWorker();
  worker.isShared = true;
  const lane = laneAt(null, worker);
  const stalled = lane.begin(paperImages(1), 'v', 10, 1);
  for (let second = 1; second <= 12; second += 1) {
    lane.passed(1_000);
    worker.showLife();
  }
  lane.answered(stalled, at(12_001), true);
  expect(lane.speed.measuredMs('v', 1)).toBeNull();
});

it('waits anew for what a shared worker has once it has loaded a model', () => {
  const worker = new PaperWorker();
  worker.isShared = true;
  const lane = laneAt(null, worker);
  const flight = lane.begin(paperImages(1), 'v', 10, 0);
  lane.passed(9_000);
  worker.loads = { begun: 1, underWay: true };
  lane.passed(9_000);
  worker.loads = { begun: 1, underWay: false };
  lane.passed(9_000);
  expect(flight.isOverdue).toBe(false);
});

it('measures what a shared worker does for others, and not that it hung', () => {
  const worker = new PaperWorker();
  worker.isShared = true;
  const lane = laneAt(null, worker);
  const hung = lane.begin(paperImages(1), 'v', 10, 0);
  lane.passed(2_500);
  lane.answered(hung, at(2_500), true);
  expect(lane.speed.measuredMs('v', 1)).toBeNull();
  const waited = lane.begin(paperImages(1), 'v', 10, 3_000);
  for (let seconds = 1; seconds <= 2; seconds += 1) {
    lane.passed(1_200);
    worker.showLife();
  }
  lane.answered(waited, at(5_000), true);
  expect(lane.speed.measuredMs('v', 1)).toBeCloseTo(2_000);
});

it('measures how long a batch takes the worker up, not how long it stood behind another', () => {
  const lane = laneAt(null);
  const [first, second] = [0, 0].map((now) => lane.begin(paperImages(1), 'v', null, now));
  lane.answered(first!, at(100), true);
  lane.answered(second!, at(200), true);
  expect(lane.speed.measuredMs('v', 1)).toBeCloseTo(100);
});

it('measures neither what a load held up, nor what it was suspect over, nor what failed', () => {
  const worker = new PaperWorker();
  const lane = laneAt(null, worker);
  const failed = lane.begin(paperImages(1), 'v', null, 0);
  lane.answered(failed, at(100), false);
  const heldUp = lane.begin(paperImages(1), 'v', null, 100);
  worker.loads = { begun: 1, underWay: false };
  lane.answered(heldUp, at(5_000), true);
  const silent = lane.begin(paperImages(1), 'v', 10, 5_000);
  lane.passed(2_000);
  lane.answered(silent, at(9_000), true);
  expect(lane.speed.measuredMs('v', 1)).toBeNull();
});
