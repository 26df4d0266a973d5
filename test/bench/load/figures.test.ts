import { expect, test } from 'vitest';
import { figuresOf, percentile } from '../../../bench/load/figures.ts';
import type { Sample } from '../../../bench/load/stream.ts';

const sample = (dueAt: number, doneAt: number, outcome = 'ANSWERED'): Sample => ({
  ...{ outcome, dueAt, sentAt: dueAt + 1, doneAt },
  images: outcome === 'ANSWERED' ? 1 : 0,
  receipt: null,
});

test('a percentile is a value that was seen', () => {
  const values = [5, 1, 4, 2, 3];
  expect([0, 50, 99, 100].map((percent) => percentile(values, percent))).toEqual([1, 3, 5, 5]);
  expect(percentile([], 50)).toBeNaN();
});

test('latency counts from when a request was due, and of those that were answered alone', () => {
  const samples = { all: [sample(0, 10), sample(10, 40), sample(20, 22, 'OVERLOADED')] };
  const figures = figuresOf({ from: 0, to: 100, samples, generatorCpuMs: 0 }, 'all');
  expect(figures).toMatchObject({ requests: 3, p50: 10, max: 30, outcomes: { ANSWERED: 2, OVERLOADED: 1 } });
});

test('throughput counts what was answered within the run and after its warm-up', () => {
  const samples = { all: [sample(0, 10), sample(60, 90), sample(95, 150)] };
  const run = { from: 0, to: 100, samples, generatorCpuMs: 0 };
  expect(figuresOf(run, 'all').imagesPerSecond).toBe(20);
  expect(figuresOf(run, 'all', 50).imagesPerSecond).toBe(20);
  expect(figuresOf(run, 'all', 50).requests).toBe(2);
});
