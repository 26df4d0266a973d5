import type pg from 'pg';
import { periodAfter, periodOf } from '../lib/period.ts';
import { bucketOf } from './latency-histogram.ts';
import { occurredAt } from './occurred-at.ts';
import type { Booking, CommitOutcome, Reservation, ReserveOutcome } from './reservation.ts';

/** One row of a batch: written out when it is handed in, so that what cannot be fails its own sender. */
export interface LedgerRow {
  readonly requestId: string;
  readonly tenantId: string;
  readonly idempotencyKey: string | null;
  /** Elements of the columns' array literals, in the order of the function's arguments. */
  readonly elements: readonly string[];
  /** JSON to be kept under the key; null: none. */
  readonly answer: string | null;
}

/** What a row adds to a statement, in characters. */
export function sizeOf({ elements, answer }: LedgerRow): number {
  return elements.reduce((sum, { length }) => sum + length, answer?.length ?? 0);
}

/**
 * A connection that swallows a statement must not hold up everyone behind it: past this it is dropped and the batch sent again.
 * Far above what a batch takes, and short enough that whoever waits still hears of the second attempt.
 */
const answerWithinMs = 2_000;

/** Which of a reservation's elements is the month that its units count in. */
const PERIOD = 3;

export function reservationRow(reservation: Reservation): LedgerRow {
  const { requestId, tenantId, units, limit, hardLimit, ttlMs, idempotency } = reservation;
  const time = occurredAt(requestId);
  const hash = idempotency && `\\x${Buffer.from(idempotency.requestHash).toString('hex')}`;
  const key = idempotency?.key ?? null;
  const values = [
    requestId,
    tenantId,
    time.toISOString(),
    periodOf(time).toISOString(),
    units,
    limit,
    hardLimit,
    ttlMs,
    key,
    hash,
  ];
  return { requestId, tenantId, idempotencyKey: key, elements: values.map(element), answer: null };
}

export function bookingRow(booking: Booking): LedgerRow {
  const { requestId, tenantId, idempotency } = booking;
  const values = [
    ...[requestId, tenantId, booking.apiKeyId, booking.memberId],
    ...[booking.operation, booking.model, booking.version, booking.compression],
    ...[booking.images, booking.errors, booking.cachedImages, booking.units],
    ...[booking.latencyMs, bucketOf(booking.latencyMs)],
  ];
  return {
    requestId,
    tenantId,
    idempotencyKey: idempotency?.key ?? null,
    elements: values.map(element),
    answer: idempotency?.answer == null ? null : JSON.stringify(idempotency.answer),
  };
}

/** Of an array literal. */
function element(value: string | number | boolean | null): string {
  if (value === null) return 'NULL';
  return typeof value === 'string' ? `"${value.replace(/["\\]/g, '\\$&')}"` : String(value);
}

function columnsOf(rows: readonly LedgerRow[]): string[] {
  return rows[0]!.elements.map((_, column) => `{${rows.map(({ elements }) => elements[column]).join()}}`);
}

/** Reserves for all rows in one transaction. Asking again for a hold that stands answers 'admitted'. */
export async function reserveAll(pool: pg.Pool, rows: readonly LedgerRow[]): Promise<ReserveOutcome[]> {
  const answers = await ask<{
    request_id: string;
    outcome: ReserveOutcome['kind'];
    remaining: string;
    answer: unknown;
  }>(pool, {
    name: 'reserve',
    text: 'SELECT * FROM fovea_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)',
    values: [
      ...columnsOf(rows),
      `{${[...new Set(rows.map(({ elements }) => elements[PERIOD]))].join()}}`,
      new Set(rows.map(({ tenantId }) => tenantId)).size,
    ],
  });
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
    text: 'SELECT * FROM fovea_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)',
    values: [...columnsOf(rows), answersOf(rows)],
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

/** JSON: what is to be kept, by request. */
function answersOf(rows: readonly LedgerRow[]): string {
  const kept = rows.filter(({ answer }) => answer !== null);
  return `{${kept.map(({ requestId, answer }) => `"${requestId.toLowerCase()}":${answer}`).join()}}`;
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
