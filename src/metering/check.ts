import type pg from 'pg';
import { periodAfter, periodOf } from '../lib/period.ts';
import { bucketCount, upperBound } from './latency-histogram.ts';

/** A sum that is not what the rows beneath it say. */
export interface Drift {
  readonly sum: 'used' | 'reserved' | 'hourly' | 'daily';
  readonly tenantId: string;
  /** Of the month, hour or day that it is a sum of. */
  readonly start: Date;
  /** Which row of a roll-up it is, null for counters. `apiKeyId` is null there, too, where a member booked. */
  readonly apiKeyId: string | null;
  readonly operation: string | null;
  readonly model: string | null;
  readonly compression: string | null;
  readonly measure: 'units' | 'requests' | 'images' | 'errors' | 'cached_images' | 'latency';
  /** A number; of `latency` the counts of the histogram's buckets that count anything, the first being 1: `12:3,14:1`. */
  readonly expected: string;
  readonly found: string;
}

export interface CheckOptions {
  /** Checked is the month of this time and what follows; from the first month there is as it is left out. */
  readonly from?: Date | undefined;
  /** Checked are months that begin before this time; all that there are as it is left out. */
  readonly to?: Date | undefined;
  onMonth?(month: Date): void;
}

/** It reads every event of a month: the pool's own limit is one for those who serve. */
const answerWithinMs = 600_000;

/** Whoever has more of them needs no more to see that something is wrong. */
export const mostDrifts = 1_000;

/**
 * Recomputes every sum of the ledger, month by month: from its events each row of the hours' and the days' roll-ups, with all that
 * they count, and what is used; from the holds what is reserved. Of a month whose partition is detached there are no events: there
 * the days and what is used are recomputed from the hours, and the hours' requests from their histograms. Answers the first
 * thousand drifts; an empty list means exact. A month is one statement, hence one snapshot: it may run while requests are served.
 * `ledger` connects as fovea_ledger.
 */
export async function checkLedger(
  ledger: Pick<pg.Pool, 'query'>,
  { from, to, onMonth }: CheckOptions = {},
): Promise<Drift[]> {
  const drifts: Drift[] = [];
  for (const month of await monthsOf(ledger)) {
    if ((from && month < periodOf(from)) || (to && month >= to)) continue;
    onMonth?.(month);
    const left = mostDrifts - drifts.length;
    drifts.push(...(await ask<Drift>(ledger, comparison, [month, periodAfter(month), bounds, left])));
    if (drifts.length === mostDrifts) break;
  }
  return drifts;
}

/** Those that have events, or room for them, or sums. */
async function monthsOf(ledger: Pick<pg.Pool, 'query'>): Promise<Date[]> {
  const rows = await ask<{ month: Date }>(
    ledger,
    `${attachedMonths}
     UNION SELECT period FROM quota_counter UNION SELECT period FROM quota_hold
     UNION SELECT date_trunc('month', start, 'UTC') FROM usage_hourly
     UNION SELECT date_trunc('month', start, 'UTC') FROM usage_daily
     ORDER BY 1`,
  );
  return rows.map(({ month }) => month);
}

async function ask<Row extends pg.QueryResultRow>(
  ledger: Pick<pg.Pool, 'query'>,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const config: pg.QueryConfig & { query_timeout: number } = { text, values, query_timeout: answerWithinMs };
  return (await ledger.query<Row>(config)).rows;
}

/** The upper bounds of all buckets but the last, each less than zero and so in ascending order, as `width_bucket` wants them. */
const bounds = Array.from({ length: bucketCount - 1 }, (_, bucket) => -upperBound(bucketCount - 2 - bucket));

/** Those whose events are there. Partitions are named by `fovea_make_usage_partitions`. */
const attachedMonths = `
  SELECT to_date(right(relname, 7), 'YYYY_MM')::timestamp AT TIME ZONE 'UTC' AS month
  FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
  WHERE inhparent = 'usage_event'::regclass AND NOT inhdetachpending AND relname ~ '^usage_event_[0-9]{4}_[0-9]{2}$'`;

/** What makes a row of a roll-up, beside its time. */
const keys = 'tenant_id, api_key_id, operation, model, compression';
const counts = 'units, images, errors, cached_images';
const sums =
  'sum(units) AS units, sum(images) AS images, sum(errors) AS errors, sum(cached_images) AS cached_images';
const measures = ['units', 'requests', 'images', 'errors', 'cached_images', 'latency'];
const measured = (condition: string) =>
  `ARRAY[${measures.map((name) => `coalesce(max(${name}) FILTER (WHERE ${condition})::text, '${name === 'latency' ? '' : '0'}')`).join()}]`;

/** Of the month from $1 until before $2; $3 as `bounds`; $4 drifts at most. */
const comparison = `
  WITH base (start, ${keys}, bucket, requests, ${counts}) AS MATERIALIZED (
    SELECT date_trunc('hour', occurred_at, 'UTC') AS hour, ${keys},
           CASE WHEN corrects IS NULL THEN ${bucketCount} - width_bucket(-latency_ms, $3::float8[]) END AS bucket,
           count(*) FILTER (WHERE corrects IS NULL), ${sums}
      FROM usage_event WHERE occurred_at >= $1 AND occurred_at < $2
      GROUP BY hour, ${keys}, bucket
    UNION ALL
    SELECT start, ${keys}, part.*
      FROM usage_hourly CROSS JOIN LATERAL (
        SELECT NULL::int, 0::bigint, ${counts}
        UNION ALL SELECT bucket, latency[bucket], 0, 0, 0, 0 FROM generate_subscripts(latency, 1) bucket) part
      WHERE start >= $1 AND start < $2 AND NOT EXISTS (SELECT FROM (${attachedMonths}) attached WHERE month = $1)
  ),
  counted (sum, start, ${keys}, bucket, requests, ${counts}) AS (
    SELECT 'hourly', start, ${keys}, bucket, requests, ${counts} FROM base
    UNION ALL
    SELECT 'daily', date_trunc('day', start, 'UTC') AS day, ${keys}, bucket, sum(requests), ${sums} FROM base
      GROUP BY day, ${keys}, bucket
  ),
  stored AS (
    SELECT 'hourly' AS sum, * FROM usage_hourly WHERE start >= $1 AND start < $2
    UNION ALL SELECT 'daily', * FROM usage_daily WHERE start >= $1 AND start < $2
  ),
  side (is_found, sum, start, ${keys}, requests, latency, ${counts}) AS (
    SELECT false, sum, start, ${keys}, sum(requests),
           string_agg(bucket || ':' || requests, ',' ORDER BY bucket) FILTER (WHERE requests > 0), ${sums}
      FROM counted GROUP BY sum, start, ${keys}
    UNION ALL
    SELECT true, sum, start, ${keys}, requests,
           (SELECT string_agg(bucket || ':' || latency[bucket], ',' ORDER BY bucket)
              FROM generate_subscripts(latency, 1) bucket WHERE latency[bucket] > 0), ${counts}
      FROM stored
    UNION ALL
    SELECT is_found, sum, $1, tenant_id, NULL, NULL, NULL, NULL, 0, '', units, 0, 0, 0
      FROM (SELECT false, 'used', tenant_id, sum(units) FROM base GROUP BY tenant_id
            UNION ALL SELECT true, 'used', tenant_id, used FROM quota_counter WHERE meter = 'units' AND period = $1
            UNION ALL SELECT false, 'reserved', tenant_id, sum(units) FROM quota_hold
              WHERE meter = 'units' AND period = $1 GROUP BY tenant_id
            UNION ALL SELECT true, 'reserved', tenant_id, reserved FROM quota_counter WHERE meter = 'units' AND period = $1
           ) counter (is_found, sum, tenant_id, units)
  ),
  compared AS (
    SELECT sum, start, ${keys}, ${measured('NOT is_found')} AS expected, ${measured('is_found')} AS found
    FROM side GROUP BY sum, start, ${keys}
  )
  SELECT sum, start, tenant_id AS "tenantId", api_key_id AS "apiKeyId", operation, model, compression,
         m.measure, m.expected, m.found
  FROM compared CROSS JOIN unnest('{${measures.join()}}'::text[], expected, found) m (measure, expected, found)
  WHERE compared.expected <> compared.found AND m.expected <> m.found
  ORDER BY tenant_id, sum, start, ${keys}, measure LIMIT $4`;
