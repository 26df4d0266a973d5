/**
 * Latencies counted in fixed buckets, so that percentiles over any hours, keys and models come from adding counts. Bounds
 * grow by 2^(1/4) from 1 ms to past 120 s (the longest deadline): bucket 0 is [0, 1] ms, bucket i is (2^((i-1)/4), 2^(i/4)],
 * and the last takes whatever is slower. A percentile is thereby off by at most one bucket, 19 %.
 */
export const bucketCount = 69;

const stepsPerDoubling = 4;

/** The upper bound of a bucket, in milliseconds. */
export function upperBound(bucket: number): number {
  return 2 ** (bucket / stepsPerDoubling);
}

/** The bucket that counts a latency of `ms`. */
export function bucketOf(ms: number): number {
  if (!(ms > 1)) return 0;
  const estimate = Math.ceil(Math.log2(ms) * stepsPerDoubling);
  // The logarithm of a bound itself may come out a hair above its whole number.
  const bucket = ms <= upperBound(estimate - 1) ? estimate - 1 : estimate;
  return Math.min(bucket, bucketCount - 1);
}

/**
 * The latency in milliseconds below which a share `quantile` (0..1) of what was counted lies, interpolated inside its
 * bucket; null where nothing was counted.
 */
export function percentile(counts: readonly number[], quantile: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const rank = quantile * total;
  let below = 0;
  // By index: a chart has thousands of these, and entries() makes an array of each count.
  for (let bucket = 0; bucket < counts.length; bucket++) {
    const count = counts[bucket]!;
    if (count > 0 && below + count >= rank) {
      const lower = bucket === 0 ? 0 : upperBound(bucket - 1);
      return lower + (upperBound(bucket) - lower) * ((rank - below) / count);
    }
    below += count;
  }
  return upperBound(bucketCount - 1);
}
