import type pg from 'pg';

/** A sum that is not what the rows beneath it say, of one tenant's units in one month. */
export interface Drift {
  readonly tenantId: string;
  readonly period: Date;
  /** `reserved` is measured against the holds, the others against the events. */
  readonly sum: 'used' | 'hourly' | 'daily' | 'reserved';
  readonly expected: bigint;
  readonly found: bigint;
}

/**
 * Recomputes every sum of the ledger: Σ events = used = Σ hourly = Σ daily, and Σ holds = reserved. An empty list means exact.
 * One statement, hence one snapshot: it may run while requests are served. `ledger` connects as fovea_ledger.
 */
export async function checkLedger(ledger: Pick<pg.Pool, 'query'>): Promise<Drift[]> {
  const { rows } = await ledger.query<{
    tenant_id: string;
    period: Date;
    sum: Drift['sum'];
    expected: string;
    found: string;
  }>(`
    WITH entry (tenant_id, period, event, used, hourly, daily, hold, reserved) AS (
      SELECT tenant_id, date_trunc('month', occurred_at, 'UTC'), units, 0, 0, 0, 0, 0 FROM usage_event
      UNION ALL SELECT tenant_id, period, 0, used, 0, 0, 0, reserved FROM quota_counter WHERE meter = 'units'
      UNION ALL SELECT tenant_id, date_trunc('month', start, 'UTC'), 0, 0, units, 0, 0, 0 FROM usage_hourly
      UNION ALL SELECT tenant_id, date_trunc('month', start, 'UTC'), 0, 0, 0, units, 0, 0 FROM usage_daily
      UNION ALL SELECT tenant_id, period, 0, 0, 0, 0, units, 0 FROM quota_hold WHERE meter = 'units'
    ),
    month AS (
      SELECT tenant_id, period, sum(event) AS events, sum(used) AS used, sum(hourly) AS hourly, sum(daily) AS daily,
             sum(hold) AS holds, sum(reserved) AS reserved
      FROM entry GROUP BY tenant_id, period
    )
    SELECT tenant_id, period, sum, expected, found
    FROM month, LATERAL (VALUES ('used', events, used), ('hourly', events, hourly), ('daily', events, daily),
                                ('reserved', holds, reserved)) compared (sum, expected, found)
    WHERE expected <> found
    ORDER BY tenant_id, period, sum`);
  return rows.map((row) => ({
    tenantId: row.tenant_id,
    period: row.period,
    sum: row.sum,
    expected: BigInt(row.expected),
    found: BigInt(row.found),
  }));
}
