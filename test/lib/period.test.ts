import { expect, test } from 'vitest';
import { periodAfter, periodOf } from '../../src/lib/period.ts';

test.each([
  ['2026-11-23T10:44:18.123Z', '2026-11-01', '2026-12-01'],
  ['2026-12-31T23:59:59.999Z', '2026-12-01', '2027-01-01'],
  ['2024-01-31T12:00:00.000Z', '2024-01-01', '2024-02-01'],
  ['2024-02-01T00:00:00.000Z', '2024-02-01', '2024-03-01'],
  ['0042-07-15T00:00:00.000Z', '0042-07-01', '0042-08-01'],
])('%s lies in the month from %s to %s', (instant, start, end) => {
  expect(periodOf(new Date(instant)).toISOString()).toBe(`${start}T00:00:00.000Z`);
  expect(periodAfter(new Date(instant)).toISOString()).toBe(`${end}T00:00:00.000Z`);
});
