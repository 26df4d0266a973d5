import type pg from 'pg';
import { periodAfter, periodOf } from '../lib/period.ts';
import { bucketOf } from './latency-histogram.ts';
import { occurredAt } from './occurred-at.ts';
import type { Booking, CommitOutcome, Reservation, ReserveOutcome } from './reservation.ts';

/** One row of a batch: serialised when it is handed in, so that what cannot be fails its own sender. */
export interface LedgerRow {
  readonly requestId: string;
  readonly tenantId: string;
  readonly idempotencyKey: string | null;
  readonly json: string;
}

/**
 * A connection that swallows a statement must not hold up everyone behind it: past this it is dropped and the batch sent again.
 * Far above what a batch takes, and short enough that whoever waits still hears of the second attempt.
 */
const answerWithinMs = 2_000;

export function reservationRow(reservation: Reservation): LedgerRow {
  const { requestId, tenantId, units, limit, hardLimit, ttlMs, idempotency } = reservation;
  const time = occurredAt(requestId);
  const json = JSON.stringify({
    request_id: requestId,
    tenant_id: tenantId,
    occurred_at: time,
    period: periodOf(time),
    units,
    quota: limit,
    hard_limit: hardLimit,
    ttl_ms: ttlMs,
    idempotency_key: idempotency?.key ?? null,
    request_hash: idempotency && `\\x${Buffer.from(idempotency.requestHash).toString('hex')}`,
  });
  return { requestId, tenantId, idempotencyKey: idempotency?.key ?? null, json };
}

export function bookingRow(booking: Booking): LedgerRow {
  const { requestId, tenantId, idempotency } = booking;
  const json = JSON.stringify({
    request_id: requestId,
    tenant_id: tenantId,
    api_key_id: booking.apiKeyId,
    member_id: booking.memberId,
    operation: booking.operation,
    model: booking.model,
    version: booking.version,
    compression: booking.compression,
    images: booking.images,
    errors: booking.errors,
    cached_images: booking.cachedImages,
    units: booking.units,
    latency_ms: booking.latencyMs,
    latency_bucket: bucketOf(booking.latencyMs),
    answer: idempotency?.answer ?? null,
  });
  return { requestId, tenantId, idempotencyKey: idempotency?.key ?? null, json };
}

/** Reserves for all rows in one transaction. Asking again for a hold that stands answers 'admitted'. */
export async function reserveAll(pool: pg.Pool, rows: readonly LedgerRow[]): Promise<ReserveOutcome[]> {
  const answers = await ask<{
    request_id: string;
    outcome: ReserveOutcome['kind'];
    remaining: string;
    answer: unknown;
  }>(pool, { name: 'reserve', text: 'SELECT * FROM fovea_reserve($1)', values: [batchOf(rows)] });
  const byRequest = new Map(answers.map((answer) => [answer.request_id, answer]));
  return rows.map(({ requestId }): ReserveOutcome => {
    const answer = byRequest.get(requestId.toLowerCase());
    if (!answer) throw new Error(`fovea_reserve did not answer for request ${requestId}`);
    switch (answer.outcome) {
      case 'quota-exceeded':
        return {
          kind: 'quota-exceeded',
          remaining: Number(answer.remaining),
          resetsAt: periodAfter(occurredAt(requestId)),
        };
      case 'replay':
        return { kind: 'replay', answer: answer.answer };
      default:
        return { kind: answer.outcome };
    }
  });
}

interface BookedRow {
  request_id: string;
  period: Date;
  used: string;
  reserved: string;
}

/**
 * Commits all rows in one transaction. `again`: an attempt's connection was lost, perhaps after it was carried out, perhaps before,
 * and perhaps it is still being carried out. Nothing may be answered that is not booked, and nothing booked go unanswered; so the
 * commit is simply made again. Where the first attempt is under way the second waits for its counters' locks; where it was
 * rolled back the hold is there and is booked now; where it was carried out the hold is gone, and then, and only then, the event
 * decides: it can be there by the first attempt alone. Merely looking for the event would miss an attempt still under way.
 */
export async function commitAll(
  pool: pg.Pool,
  rows: readonly LedgerRow[],
  again: boolean,
): Promise<CommitOutcome[]> {
  const booked = await ask<BookedRow>(pool, {
    name: 'commit',
    text: 'SELECT * FROM fovea_commit($1)',
    values: [batchOf(rows)],
  });
  const byRequest = new Map(booked.map((row) => [row.request_id, row]));
  const unbooked = again ? rows.filter(({ requestId }) => !byRequest.has(requestId.toLowerCase())) : [];
  if (unbooked.length > 0) {
    for (const row of await bookedBefore(pool, unbooked)) byRequest.set(row.request_id, row);
  }
  return rows.map(({ requestId }): CommitOutcome => {
    const row = byRequest.get(requestId.toLowerCase());
    if (!row) return { kind: 'no-hold' };
    const { used, reserved, period } = row;
    return { kind: 'booked', used: Number(used), reserved: Number(reserved), resetsAt: periodAfter(period) };
  });
}

function bookedBefore(pool: pg.Pool, rows: readonly LedgerRow[]): Promise<BookedRow[]> {
  const text = `SELECT e.request_id, c.period, c.used, c.reserved
       FROM unnest($1::uuid[], $2::uuid[]) r (request_id, tenant_id)
       JOIN usage_event e USING (request_id, tenant_id)
       JOIN quota_counter c ON c.tenant_id = e.tenant_id AND c.meter = 'units'
        AND c.period = date_trunc('month', e.occurred_at, 'UTC')`;
  return ask<BookedRow>(pool, { name: 'booked before', text, values: keysOf(rows) });
}

/** Ends the holds of all rows in one transaction; one that is gone already is no error. */
export async function releaseAll(
  pool: pg.Pool,
  rows: readonly { requestId: string; tenantId: string }[],
): Promise<undefined[]> {
  await ask(pool, { name: 'release', text: 'SELECT fovea_release($1, $2)', values: keysOf(rows) });
  return rows.map(() => undefined);
}

/** Of one month; zeros where nothing was booked in it. */
export async function readCounter(
  pool: pg.Pool,
  tenantId: string,
  period: Date,
): Promise<{ used: number; reserved: number }> {
  const text = `SELECT used, reserved FROM quota_counter WHERE tenant_id = $1 AND meter = 'units' AND period = $2`;
  const [row] = await ask<{ used: string; reserved: string }>(pool, {
    name: 'counter',
    text,
    values: [tenantId, period],
  });
  return { used: Number(row?.used ?? 0), reserved: Number(row?.reserved ?? 0) };
}

function batchOf(rows: readonly LedgerRow[]): string {
  return `[${rows.map(({ json }) => json).join(',')}]`;
}

function keysOf(rows: readonly { requestId: string; tenantId: string }[]): [string[], string[]] {
  return [rows.map(({ requestId }) => requestId), rows.map(({ tenantId }) => tenantId)];
}

/** By its name a statement is parsed once a connection. */
async function ask<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  statement: { readonly name: string; readonly text: string; readonly values: unknown[] },
): Promise<Row[]> {
  const config: pg.QueryConfig & { query_timeout: number } = { ...statement, query_timeout: answerWithinMs };
  const { rows } = await pool.query<Row>(config);
  return rows;
}
