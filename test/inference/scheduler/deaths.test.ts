import { expect, it } from 'vitest';
import { Deaths } from '../../../src/inference/scheduler/deaths.ts';
import { laneAt, paperImages } from './paper-worker.ts';

it('counts workers that went away, not what they had, and tells which did lately', () => {
  const deaths = new Deaths();
  const [one, other] = [laneAt(null), laneAt(null)];
  const give = (lane: typeof one) => lane.begin(paperImages(1), 'v', null, 0);
  const [first, second] = [give(one), give(one)];
  expect(deaths.under(first, one, 0)).toEqual({ number: 1, firstLately: 1 });
  expect(deaths.under(give(other), other, 10)).toEqual({ number: 2, firstLately: 1 });
  expect(deaths.under(second, one, 20)).toEqual({ number: 1, firstLately: 1 });
  const third = laneAt(null);
  expect(deaths.under(give(third), third, 30_005)).toEqual({ number: 3, firstLately: 2 });
  const fourth = laneAt(null);
  expect(deaths.under(give(fourth), fourth, 100_000)).toEqual({ number: 4, firstLately: 4 });
});
