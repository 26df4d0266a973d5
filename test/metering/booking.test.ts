import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkLedger } from '../../src/metering/check.ts';
import type { Ledger } from '../../src/metering/ledger.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

let fixture: LedgerFixture;
let ledger: Ledger;
beforeAll(async () => {
  fixture = await createLedgerFixture();
  ledger = fixture.openLedger();
});
afterAll(async () => {
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
  await fixture.close();
});

const events = async (tenantId: string) =>
  (await fixture.admin.query('SELECT * FROM usage_event WHERE tenant_id = $1', [tenantId])).rows;
const expire = (requestId: string) =>
  fixture.admin.query('UPDATE quota_hold SET expires_at = now() WHERE request_id = $1', [requestId]);

test('a commit books what was answered and gives the rest back', async () => {
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId, { units: 12 });
  await ledger.reserve(held);
  expect(await ledger.quota(tenantId, 100)).toMatchObject({ used: 0, reserved: 12, remaining: 88 });
  const apiKeyId = randomUUID();
  const outcome = await ledger.commit(
    booking(held, { apiKeyId, images: 2, errors: 1, cachedImages: 1, units: 8 }),
  );
  expect(outcome).toMatchObject({ kind: 'booked', used: 8, reserved: 0 });
  expect(await events(tenantId)).toMatchObject([
    { request_id: held.requestId, api_key_id: apiKeyId, images: 2, errors: 1, cached_images: 1, units: '8' },
  ]);
});

test('nothing but errors books an event of no units', async () => {
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId);
  await ledger.reserve(held);
  expect(await ledger.commit(booking(held, { images: 0, errors: 1, units: 0 }))).toMatchObject({
    used: 0,
    reserved: 0,
  });
  expect(await events(tenantId)).toHaveLength(1);
});

test('more units than are held are refused, and the hold stays', async () => {
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId, { units: 4 });
  await ledger.reserve(held);
  await expect(ledger.commit(booking(held, { units: 5 }))).rejects.toThrow(
    `${held.requestId} books 5 units of 4 held`,
  );
  expect((await ledger.commit(booking(held))).kind).toBe('booked');
});

test('committed twice, one after the other or at once over two processes, it is booked once', async () => {
  const tenantId = await fixture.newTenant();
  const other = fixture.openLedger();
  const held = reservation(tenantId);
  await ledger.reserve(held);
  const outcomes = await Promise.all([
    ledger.commit(booking(held)),
    ledger.commit(booking(held)),
    other.commit(booking(held)),
  ]);
  expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['booked', 'no-hold', 'no-hold']);
  expect(await ledger.commit(booking(held))).toEqual({ kind: 'no-hold' });
  expect(await events(tenantId)).toHaveLength(1);
});

test("a commit past the hold's end finds none, swept or not", async () => {
  const tenantId = await fixture.newTenant();
  const [unswept, swept] = [reservation(tenantId), reservation(tenantId)];
  await Promise.all([ledger.reserve(unswept), ledger.reserve(swept)]);
  await expire(swept.requestId);
  await ledger.sweep();
  await expire(unswept.requestId);
  expect(await ledger.commit(booking(swept))).toEqual({ kind: 'no-hold' });
  expect(await ledger.commit(booking(unswept))).toEqual({ kind: 'no-hold' });
  expect(await events(tenantId)).toEqual([]);
  await ledger.sweep();
  expect(await ledger.quota(tenantId, null)).toMatchObject({ used: 0, reserved: 0 });
});

test('a release gives everything back, once', async () => {
  const tenantId = await fixture.newTenant();
  const [released, kept] = [reservation(tenantId), reservation(tenantId)];
  await Promise.all([ledger.reserve(released), ledger.reserve(kept)]);
  const release = () => ledger.release(released.requestId, tenantId);
  await Promise.all([release(), release(), fixture.openLedger().release(released.requestId, tenantId)]);
  await release();
  expect(await ledger.quota(tenantId, null)).toMatchObject({ used: 0, reserved: kept.units });
  expect(await ledger.commit(booking(released))).toEqual({ kind: 'no-hold' });
});

test("neither commit nor release reach another tenant's hold", async () => {
  const [tenantId, stranger] = [await fixture.newTenant(), await fixture.newTenant()];
  const held = reservation(tenantId);
  await ledger.reserve(held);
  expect(await ledger.commit(booking({ ...held, tenantId: stranger }))).toEqual({ kind: 'no-hold' });
  await ledger.release(held.requestId, stranger);
  expect((await ledger.commit(booking(held))).kind).toBe('booked');
});

test('the sweeper ends expired holds alone, however many there are', async () => {
  const tenantId = await fixture.newTenant();
  const fresh = reservation(tenantId);
  // More than one batch of the sweeper's.
  const stale = Array.from({ length: 1_203 }, () => reservation(tenantId, { units: 1, ttlMs: 0 }));
  await Promise.all([fresh, ...stale].map((held) => ledger.reserve(held)));
  await Promise.all([ledger.sweep(), fixture.openLedger().sweep()]);
  expect(await ledger.quota(tenantId, null)).toMatchObject({ used: 0, reserved: fresh.units });
});

test('a hold made in one month is booked into that month', async () => {
  const tenantId = await fixture.newTenant();
  const now = new Date();
  const nextMonth = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
  const before = reservation(tenantId, {
    requestId: v7({ msecs: nextMonth - 1 }),
    limit: 4,
    hardLimit: true,
  });
  const after = reservation(tenantId, { requestId: v7({ msecs: nextMonth }), limit: 4, hardLimit: true });
  // Each month has its own four units.
  expect(await Promise.all([ledger.reserve(before), ledger.reserve(after)])).toEqual([
    { kind: 'admitted' },
    { kind: 'admitted' },
  ]);
  expect(await ledger.commit(booking(before))).toMatchObject({
    used: 4,
    reserved: 0,
    resetsAt: new Date(nextMonth),
  });
  expect(await ledger.commit(booking(after))).toMatchObject({ used: 4, reserved: 0 });
  const { rows } = await fixture.admin.query(
    `SELECT occurred_at, tableoid::regclass::text AS partition FROM usage_event WHERE tenant_id = $1 ORDER BY 1`,
    [tenantId],
  );
  expect(rows.map(({ occurred_at }) => occurred_at.getTime())).toEqual([nextMonth - 1, nextMonth]);
  expect(new Set(rows.map(({ partition }) => partition)).size).toBe(2);
  const { rows: hours } = await fixture.admin.query(
    'SELECT start FROM usage_hourly WHERE tenant_id = $1 ORDER BY 1',
    [tenantId],
  );
  expect(hours.map(({ start }) => start.getTime())).toEqual([nextMonth - 3_600_000, nextMonth]);
});

test('a closed ledger has answered everyone, and refuses', async () => {
  const tenantId = await fixture.newTenant();
  const closing = fixture.openLedger();
  closing.startSweeping();
  const held = Array.from({ length: 20 }, () => reservation(tenantId));
  await Promise.all(held.map((each) => closing.reserve(each)));
  const commits = held.map((each) => closing.commit(booking(each)));
  await closing.close();
  expect((await Promise.all(commits)).every(({ kind }) => kind === 'booked')).toBe(true);
  await expect(closing.reserve(reservation(tenantId))).rejects.toThrow('closed');
});

test("a second event of one request is refused by the table itself, were the hold's gate to fail", async () => {
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId);
  await ledger.reserve(held);
  await ledger.commit(booking(held));
  const again = fixture.database.ledger.query(
    `INSERT INTO usage_event (tenant_id, request_id, occurred_at, operation, model, version, compression, images, errors,
                              cached_images, units, latency_ms)
       SELECT tenant_id, request_id, occurred_at, operation, model, version, compression, images, errors, cached_images, units,
              latency_ms
         FROM usage_event WHERE request_id = $1`,
    [held.requestId],
  );
  await expect(again).rejects.toMatchObject({ code: '23505' });
});
