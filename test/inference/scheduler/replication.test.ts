import { expect, it } from 'vitest';
import { Replication } from '../../../src/inference/scheduler/replication.ts';
import { laneAt, PaperWorker, paperImages } from './paper-worker.ts';

const TICK_MS = 100;
const nothing = new Set<string>();
const waiting = new Set(['v']);

/** A holder, full unless told otherwise, and an idle worker that does not hold the variant; a load takes a second. */
function scene({ loadMs = 1_000 as number | null, isFull = true } = {}) {
  const idle = new PaperWorker('other', 1);
  idle.held.delete('v');
  const [holder, other] = [laneAt(10, new PaperWorker('holder', 1)), laneAt(null, idle)];
  if (isFull) holder.begin(paperImages(1), 'v', 10, 0);
  const replication = new Replication(() => loadMs);
  const lanes = [holder, other];
  const tick = (waits: ReadonlySet<string>) => replication.passed(TICK_MS, waits, lanes);
  /** After how many ticks one is wanted, at most 100. */
  const ticksUntil = (waits: (tick: number) => ReadonlySet<string>) =>
    Array.from({ length: 100 }, (_, index) => tick(waits(index)).length).indexOf(1) + 1;
  return { other, idle, lanes, tick, ticksUntil };
}

it('wants another worker once images have waited for as long as a load takes', () => {
  for (const loadMs of [10, 1_000]) expect(scene({ loadMs }).ticksUntil(() => waiting)).toBe(10);
  expect(scene({ loadMs: 3_000 }).ticksUntil(() => waiting)).toBe(30);
  expect(scene({ loadMs: null }).ticksUntil(() => waiting)).toBe(50);
});

it('wants none for what waits now and then, and some for what waits more often than not', () => {
  expect(scene().ticksUntil((tick) => (tick % 4 === 0 ? waiting : nothing))).toBe(0);
  expect(scene().ticksUntil((tick) => (tick % 4 > 0 ? waiting : nothing))).toBeGreaterThan(10);
});

it('wants none while a worker that holds it has room, nor while nobody else idles', () => {
  expect(scene({ isFull: false }).ticksUntil(() => waiting)).toBe(0);
  const { other, ticksUntil } = scene();
  other.begin(paperImages(1), 'w', 10, 0);
  expect(ticksUntil(() => waiting)).toBe(0);
});

it('wants none of a worker that refuses it, that loads, hangs, or is not ready', () => {
  for (const spoil of [
    (worker: PaperWorker) => worker.refused.add('v'),
    (worker: PaperWorker) => {
      worker.loads = { begun: 1, underWay: true };
    },
    (worker: PaperWorker) => {
      worker.ready = false;
    },
    (worker: PaperWorker) => {
      worker.isSilent = true;
    },
  ]) {
    const { idle, ticksUntil } = scene();
    spoil(idle);
    expect(ticksUntil(() => waiting)).toBe(0);
  }
});

it('asks the idle worker that has most room, one for each variant', () => {
  const { lanes, tick } = scene();
  const [roomy, holderOfW] = [new PaperWorker('roomy', 1), new PaperWorker('w', 1)];
  roomy.held.clear();
  roomy.freeBytes = 2 ** 30;
  holderOfW.held.add('w').delete('v');
  const busy = laneAt(10, holderOfW);
  busy.begin(paperImages(1), 'w', 10, 0);
  lanes.push(laneAt(null, roomy), busy);
  const replicas = Array.from({ length: 10 }, () => tick(new Set(['v', 'w'])));
  expect(replicas.flat().map(({ key, lane }) => [key, lane.worker.name])).toEqual([
    ['v', 'roomy'],
    ['w', 'other'],
  ]);
});
