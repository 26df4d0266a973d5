import { expect, test } from 'vitest';
import { bucketCount, bucketOf, percentile, upperBound } from '../../src/metering/latency-histogram.ts';

test('buckets reach from 1 ms past 120 s, each bound in the bucket it closes', () => {
  expect(upperBound(0)).toBe(1);
  expect(upperBound(bucketCount - 1)).toBeGreaterThanOrEqual(120_000);
  expect(upperBound(bucketCount - 3)).toBeLessThan(120_000);
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    expect(bucketOf(upperBound(bucket))).toBe(bucket);
    expect(bucketOf(upperBound(bucket) * 1.000_001)).toBe(Math.min(bucket + 1, bucketCount - 1));
  }
});

test.each([0, 0.2, 1])('%d ms is in the first bucket', (ms) => expect(bucketOf(ms)).toBe(0));
test.each([200_000, 1e12, Infinity])('%d ms is in the last bucket', (ms) =>
  expect(bucketOf(ms)).toBe(bucketCount - 1),
);

test('nothing counted has no percentile', () => {
  expect(percentile([], 0.5)).toBeNull();
  expect(percentile(Array(bucketCount).fill(0), 0.5)).toBeNull();
});

test('inside a bucket a percentile moves evenly from its lower to its upper bound', () => {
  const counts = Array(bucketCount).fill(0);
  counts[4] = 10;
  const [lower, upper] = [upperBound(3), upperBound(4)];
  expect(percentile(counts, 0)).toBeCloseTo(lower);
  expect(percentile(counts, 0.5)).toBeCloseTo((lower + upper) / 2);
  expect(percentile(counts, 1)).toBeCloseTo(upper);
});
