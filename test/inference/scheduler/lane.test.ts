import { expect, it } from 'vitest';
import { laneAt, PaperWorker, paperImages, ran } from './paper-worker.ts';

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
  lane.answered(first, at(900), ran);
  expect(lane.passed(900)).toBe(false);
  expect(lane.passed(200)).toBe(true);
});

it('trusts a suspect again that answers, be it by an error, and one that has come back', () => {
  const worker = new PaperWorker();
  const lane = laneAt(null, worker);
  const flights = [1, 2].map(() => lane.begin(paperImages(1), 'v', 10, 0));
  lane.passed(2_000);
  lane.answered(flights[0]!, at(2_000), null);
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
    lane.answered(lane.begin(paperImages(1), 'v', 10, at), { elapsed: at + 1_000, batches: 0 }, ran);
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
  lane.answered(next!, at(0), ran);
  for (let second = 1; second <= 11; second += 1) {
    expect(lane.isMute).toBe(false);
    lane.passed(1_000);
    worker.showLife();
  }
  expect([lost!.isOverdue, lane.isMute, lane.isReady]).toEqual([true, true, true]);
  lane.answered(lane.begin(paperImages(1), 'v', 10, 11_000), at(11_100), ran);
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
  lane.answered(stalled, at(12_001), ran);
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
  lane.answered(hung, at(2_500), ran);
  expect(lane.speed.measuredMs('v', 1)).toBeNull();
  const waited = lane.begin(paperImages(1), 'v', 10, 3_000);
  for (let seconds = 1; seconds <= 2; seconds += 1) {
    lane.passed(1_200);
    worker.showLife();
  }
  lane.answered(waited, at(5_000), ran);
  expect(lane.speed.measuredMs('v', 1)).toBeCloseTo(2_000);
});

it('measures how long a batch takes the worker up, not how long it stood behind another', () => {
  const lane = laneAt(null);
  const [first, second] = [0, 0].map((now) => lane.begin(paperImages(1), 'v', null, now));
  lane.answered(first!, at(100), ran);
  lane.answered(second!, at(200), ran);
  expect(lane.speed.measuredMs('v', 1)).toBeCloseTo(100);
});

it('measures neither what a load held up, nor what it was suspect over, nor what failed', () => {
  const worker = new PaperWorker();
  const lane = laneAt(null, worker);
  const failed = lane.begin(paperImages(1), 'v', null, 0);
  lane.answered(failed, at(100), null);
  const heldUp = lane.begin(paperImages(1), 'v', null, 100);
  worker.loads = { begun: 1, underWay: false };
  lane.answered(heldUp, at(5_000), ran);
  const silent = lane.begin(paperImages(1), 'v', 10, 5_000);
  lane.passed(2_000);
  lane.answered(silent, at(9_000), ran);
  expect(lane.speed.measuredMs('v', 1)).toBeNull();
});

it('takes the next batch as soon as that would be there when what it has should be done', () => {
  const lane = laneAt(null, new PaperWorker('local', 1));
  // Of 20 ms one waited there for 3 and took 12 to compute: it was on its way for 5.
  lane.answered(lane.begin(paperImages(1), 'v', null, 0), at(20), { queueMs: 3, computeMs: 12 });
  expect(lane.isFull(20)).toBe(false);
  const first = lane.begin(paperImages(1), 'v', 20, 100);
  expect([lane.isFull(114), lane.nextInMs(114)]).toEqual([true, 1]);
  expect([lane.isFull(115), lane.nextInMs(115)]).toEqual([false, 0]);
  lane.begin(paperImages(1), 'v', 20, 115);
  expect([lane.isFull(119), lane.nextInMs(119)]).toEqual([true, Number.POSITIVE_INFINITY]);
  lane.answered(first, at(120), null);
  expect([lane.isFull(134), lane.nextInMs(134)]).toEqual([true, 1]);
  expect(lane.isFull(135)).toBe(false);
});

it('takes none before it has answered one that takes nobody knows how long, that may be deadly, or while it loads', () => {
  const worker = new PaperWorker('local', 1);
  const lane = laneAt(10, worker);
  const unknown = lane.begin(paperImages(1), 'v', null, 0);
  expect(lane.nextInMs(1_000)).toBe(Number.POSITIVE_INFINITY);
  lane.answered(unknown, at(1_000), ran);
  const [doubtful] = paperImages(1);
  doubtful!.lost = 1;
  const alone = lane.begin([doubtful!], 'v', 10, 1_000);
  expect(lane.nextInMs(2_000)).toBe(Number.POSITIVE_INFINITY);
  lane.answered(alone, at(2_000), ran);
  lane.begin(paperImages(1), 'v', 10, 2_000);
  expect(lane.nextInMs(2_010)).toBe(0);
  worker.loads = { begun: 1, underWay: true };
  expect(lane.nextInMs(2_010)).toBe(Number.POSITIVE_INFINITY);
});

it('takes none behind one that takes twice as long as it should', () => {
  const lane = laneAt(10, new PaperWorker('local', 1));
  const late = lane.begin(paperImages(1), 'v', 10, 0);
  expect(lane.nextInMs(20)).toBe(0);
  expect(lane.nextInMs(21)).toBe(Number.POSITIVE_INFINITY);
  lane.begin(paperImages(1), 'v', 10, 20);
  lane.answered(late, at(100), ran);
  expect(lane.nextInMs(110)).toBe(0);
});
