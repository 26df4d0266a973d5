import type pg from 'pg';

/** A sum that is not what the rows beneath it say, of one tenant in one month. */
export interface Drift {
  readonly tenantId: string;
  readonly period: Date;
  /** `reserved` is measured against the holds, the others against the events. */
  readonly sum: 'used' | 'hourly' | 'daily' | 'reserved';
  readonly measure: 'units' | 'requests' | 'images' | 'errors';
  readonly expected: bigint;
  readonly found: bigint;
}

/** It reads every event there is: the pool's own limit is one for those who serve. */
const answerWithinMs = 600_000;

/**
 * Recomputes every sum of the ledger. In units Σ events = used = Σ hourly = Σ daily, and Σ holds = reserved; in requests, images
 * and errors Σ events = Σ hourly = Σ daily, since what was lost or booked twice may have cost nothing. An empty list means exact.
 * One statement, hence one snapshot: it may run while requests are served. `ledger` connects as fovea_ledger.
 */
export async function checkLedger(ledger: Pick<pg.Pool, 'query'>): Promise<Drift[]> {
  const config: pg.QueryConfig & { query_timeout: number } = {
    text: comparison,
    query_timeout: answerWithinMs,
  };
  const { rows } = await ledger.query<{
    tenant_id: string;
    period: Date;
    sum: Drift['sum'];
    measure: Drift['measure'];
    expected: string;
    found: string;
  }>(config);
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    period: row.period,
    sum: row.sum,
    measure: row.measure,
    expected: BigInt(row.expected),
    found: BigInt(row.found),
  }));
}

const comparison = `
  WITH entry (source, tenant_id, period, units, requests, images, errors) AS (
    SELECT 'events', tenant_id, date_trunc('month', occurred_at, 'UTC'), units, (corrects IS NULL)::int, images, errors
      FROM usage_event
    UNION ALL SELECT 'hourly', tenant_id, date_trunc('month', start, 'UTC'), units, requests, images, errors FROM usage_hourly
    UNION ALL SELECT 'daily', tenant_id, date_trunc('month', start, 'UTC'), units, requests, images, errors FROM usage_daily
    UNION ALL SELECT 'used', tenant_id, period, used, 0, 0, 0 FROM quota_counter WHERE meter = 'units'
    UNION ALL SELECT 'reserved', tenant_id, period, reserved, 0, 0, 0 FROM quota_counter WHERE meter = 'units'
    UNION ALL SELECT 'holds', tenant_id, period, units, 0, 0, 0 FROM quota_hold WHERE meter = 'units'
  ),
  total AS (
    SELECT source, tenant_id, period, sum(units) AS units, sum(requests) AS requests, sum(images) AS images, sum(errors) AS errors
    FROM entry GROUP BY source, tenant_id, period
  ),
  rule (sum, source, measures) AS (
    VALUES ('used', 'events', '{units}'::text[]), ('reserved', 'holds', '{units}'),
           ('hourly', 'events', '{units,requests,images,errors}'), ('daily', 'events', '{units,requests,images,errors}')
  )
  SELECT tenant_id, period, rule.sum, measure,
         coalesce(sum(amount) FILTER (WHERE total.source = rule.source), 0) AS expected,
         coalesce(sum(amount) FILTER (WHERE total.source = rule.sum), 0) AS found
  FROM total
    CROSS JOIN LATERAL (VALUES ('units', units), ('requests', requests), ('images', images), ('errors', errors)) v (measure, amount)
    JOIN rule ON total.source IN (rule.source, rule.sum) AND measure = ANY (rule.measures)
  GROUP BY 1, 2, 3, 4
  HAVING sum(CASE WHEN total.source = rule.sum THEN amount ELSE -amount END) <> 0
  ORDER BY 1, 2, 3, 4`;
