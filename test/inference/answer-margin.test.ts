import { expect, it } from 'vitest';
import { AnswerMargin } from '../../src/inference/answer-margin.ts';

it('leaves twice what the slowest booking took lately, and a tenth of the time at most', () => {
  const margin = new AnswerMargin();
  expect(margin.of(2_000, 1_000)).toBe(0);
  margin.booked(4, 1_000);
  margin.booked(40, 1_000);
  margin.booked(4, 1_000);
  expect(margin.of(2_000, 1_000)).toBe(80);
  expect(margin.of(100, 1_000)).toBe(10);
});

it('forgets a slow one with time', () => {
  const margin = new AnswerMargin();
  margin.booked(40, 1_000);
  margin.booked(10, 6_000);
  expect(margin.of(2_000, 6_000)).toBe(40);
  margin.booked(10, 60_000);
  expect(margin.of(2_000, 60_000)).toBe(20);
});
