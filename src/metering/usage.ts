import type { Database, Transaction } from '../db/database.ts';
import { Prisma } from '../db/generated/client.ts';
import { BadUserInputError } from '../lib/errors.ts';
import { isWholeDays, limitBuckets, type Span, type UsageBucket, wholeBuckets } from './buckets.ts';
import { bucketCount, percentile } from './latency-histogram.ts';

export type { UsageBucket } from './buckets.ts';

export type UsageDimension = 'API_KEY' | 'MODEL' | 'COMPRESSION' | 'OPERATION';

/** What was booked in one bucket of time. The four dimensions are present where they were grouped by. */
export interface UsagePoint {
  readonly start: Date;
  /** null: booked by a member who was signed in. */
  readonly apiKeyId?: string | null;
  readonly model?: string;
  readonly compression?: string;
  readonly operation?: string;
  readonly requests: number;
  /** Answered without error. */
  readonly images: number;
  readonly units: number;
  /** Images answered as errors. */
  readonly errors: number;
  /** Of whole requests, within 19 %; null where there were none. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
}

export interface UsageQuery extends Span {
  readonly bucket: UsageBucket;
  readonly groupBy: readonly UsageDimension[];
}

interface SumRow {
  requests: number;
  images: number;
  units: number;
  errors: number;
  /** Counts by bucket, those of a `BucketRange`, with commas between; nothing where nothing was counted. */
  latency: string;
}

interface PointRow extends SumRow {
  start: Date;
  api_key_id: string | null;
  model: string;
  compression: string;
  operation: string;
}

const hourly = Prisma.sql`usage_hourly`;
const daily = Prisma.sql`usage_daily`;
// As doubles: of each bigint Prisma makes a BigInt. `fovea_sum`, since the built-in sum of bigints is numeric.
const sums = Prisma.sql`
  coalesce(fovea_sum(requests), 0)::float8 AS requests, coalesce(fovea_sum(images), 0)::float8 AS images,
  coalesce(fovea_sum(units), 0)::float8 AS units, coalesce(fovea_sum(errors), 0)::float8 AS errors`;

/** Buckets of latency, by their subscripts in the tables. */
interface BucketRange {
  readonly first: number;
  readonly last: number;
}

const allBuckets: BucketRange = { first: 1, last: bucketCount };

/** A sum a bucket, spelled out: an aggregate of arrays takes two to five times as long. All as one text, for the same reason as `sums`. */
function histogramOf({ first, last }: BucketRange): Prisma.Sql {
  const counts = Array.from({ length: last - first + 1 }, (_, n) => `fovea_sum(latency[${first + n}])`);
  return Prisma.raw(`array_to_string(ARRAY[${counts.join()}], ',', '') AS latency`);
}

/** Points of one answer at most: some two megabytes. */
const mostPoints = 10_000;

/** Reads a tenant's usage from the roll-ups, which are exact up to the last commit. */
export class UsageReader {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Usage over time, oldest first; empty buckets are left out. `from` is rounded down and `to` up to whole buckets. Throws
   * BadUserInputError where `from` is not before `to`, or there are more than 10,000 buckets between them or points to answer.
   */
  async usage(tenantId: string, { from, to, bucket, groupBy }: UsageQuery): Promise<UsagePoint[]> {
    const span = wholeBuckets({ from, to }, bucket);
    limitBuckets(span, bucket);
    const by = new Set(groupBy);
    const read = async (tx: Transaction) => {
      // The days' histograms have every bucket that the hours' have, in a tenth of the rows; most of 69 are empty in all of them.
      const [range] = await tx.$queryRaw<BucketRange[]>`
        SELECT coalesce(min(array_lower(latency, 1)), 1) AS first, coalesce(max(array_upper(latency, 1)), 1) AS last
        FROM usage_daily
        WHERE tenant_id = ${tenantId}::uuid AND start >= date_trunc('day', ${span.from}, 'UTC') AND start < ${span.to}`;
      const points = await tx.$queryRaw<PointRow[]>`
        SELECT date_trunc(${bucket.toLowerCase()}, start, 'UTC') AS start,
               CASE WHEN ${by.has('API_KEY')} THEN api_key_id END AS api_key_id,
               CASE WHEN ${by.has('OPERATION')} THEN operation END AS operation,
               CASE WHEN ${by.has('MODEL')} THEN model END AS model,
               CASE WHEN ${by.has('COMPRESSION')} THEN compression END AS compression,
               ${sums}, ${histogramOf(range!)}
        FROM ${bucket === 'HOUR' ? hourly : daily}
        WHERE tenant_id = ${tenantId}::uuid AND start >= ${span.from} AND start < ${span.to}
        GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 LIMIT ${mostPoints + 1}`;
      return [range!, points] as const;
    };
    const [buckets, rows] = await this.#database.asTenant(tenantId, read, { oneSnapshot: true });
    if (rows.length > mostPoints) {
      throw new BadUserInputError(
        `From "from" to "to" there are more than ${mostPoints} points of usage, at most so many are answered: ` +
          'narrow the span, take a larger bucket, or group by less.',
      );
    }
    return rows.map((row) => ({
      start: row.start,
      ...(by.has('API_KEY') && { apiKeyId: row.api_key_id }),
      ...(by.has('OPERATION') && { operation: row.operation }),
      ...(by.has('MODEL') && { model: row.model }),
      ...(by.has('COMPRESSION') && { compression: row.compression }),
      ...numbers(row, buckets),
    }));
  }

  /** What was booked on one key between two times, rounded out to whole hours; zeros where nothing was. */
  async ofApiKey(tenantId: string, apiKeyId: string, from: Date, to: Date): Promise<UsagePoint> {
    const span = wholeBuckets({ from, to }, 'HOUR');
    const [row] = await this.#database.asTenant(
      tenantId,
      // Both tables say the same of whole days, the daily one in a tenth of the rows.
      (tx) => tx.$queryRaw<SumRow[]>`
        SELECT ${sums}, ${histogramOf(allBuckets)} FROM ${isWholeDays(span) ? daily : hourly}
        WHERE tenant_id = ${tenantId}::uuid AND api_key_id = ${apiKeyId}::uuid
          AND start >= ${span.from} AND start < ${span.to}`,
    );
    return { start: span.from, apiKeyId, ...numbers(row!, allBuckets) };
  }
}

function numbers({ requests, images, units, errors, latency }: SumRow, { first }: BucketRange) {
  const counts = (','.repeat(first - 1) + latency).split(',').map(Number);
  return {
    ...{ requests, images, units, errors },
    p50Ms: percentile(counts, 0.5),
    p95Ms: percentile(counts, 0.95),
  };
}
