import { createHash, randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkLedger } from '../../src/metering/check.ts';
import type { Booking, Ledger, Reservation } from '../../src/metering/ledger.ts';
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

const answer = {
  results: [{ labels: [{ label: 'tabby', index: 281, score: 0.1 + 0.2 }] }],
  receipt: { units: 4 },
};

function keyed(tenantId: string, key: string, input = 'cat', fields: Partial<Reservation> = {}): Reservation {
  const requestHash = createHash('sha256').update(input).digest();
  return reservation(tenantId, { idempotency: { key, requestHash }, ...fields });
}

function answered(held: Reservation): Booking {
  return booking(held, { idempotency: held.idempotency && { ...held.idempotency, answer } });
}

test('a key that was used replays its answer for the same input and refuses other input', async () => {
  const [tenantId, key] = [await fixture.newTenant(), randomUUID()];
  const first = keyed(tenantId, key);
  await ledger.reserve(first);
  await ledger.commit(answered(first));
  expect(await ledger.reserve(keyed(tenantId, key))).toEqual({ kind: 'replay', answer });
  expect(await ledger.reserve(keyed(tenantId, key, 'dog'))).toEqual({ kind: 'conflict' });
  expect(await ledger.quota(tenantId, null)).toMatchObject({ used: 4, reserved: 0 });
});

test("another tenant's key is another key", async () => {
  const [tenantId, stranger, key] = [await fixture.newTenant(), await fixture.newTenant(), randomUUID()];
  const first = keyed(tenantId, key);
  await ledger.reserve(first);
  await ledger.commit(answered(first));
  expect(await ledger.reserve(keyed(stranger, key))).toEqual({ kind: 'admitted' });
});

test('a replay is given although nothing is left of the quota', async () => {
  const [tenantId, key] = [await fixture.newTenant(), randomUUID()];
  const first = keyed(tenantId, key, 'cat', { limit: 4, hardLimit: true });
  await ledger.reserve(first);
  await ledger.commit(answered(first));
  expect((await ledger.reserve(keyed(tenantId, key, 'cat', { limit: 4, hardLimit: true }))).kind).toBe(
    'replay',
  );
});

test('while the first is served, the same input waits and other input conflicts', async () => {
  const [tenantId, key] = [await fixture.newTenant(), randomUUID()];
  await ledger.reserve(keyed(tenantId, key));
  expect(await ledger.reserve(keyed(tenantId, key))).toEqual({ kind: 'in-progress' });
  expect(await ledger.reserve(keyed(tenantId, key, 'dog'))).toEqual({ kind: 'conflict' });
});

test('a request that was released, or booked without an answer, does not use its key up', async () => {
  const [tenantId, key] = [await fixture.newTenant(), randomUUID()];
  const released = keyed(tenantId, key);
  await ledger.reserve(released);
  await ledger.release(released.requestId, tenantId);
  const unanswered = keyed(tenantId, key, 'dog');
  expect(await ledger.reserve(unanswered)).toEqual({ kind: 'admitted' });
  await ledger.commit(booking(unanswered));
  expect(await ledger.reserve(keyed(tenantId, key, 'bird'))).toEqual({ kind: 'admitted' });
});

test('a request refused for its quota does not use its key up', async () => {
  const [tenantId, key] = [await fixture.newTenant(), randomUUID()];
  expect((await ledger.reserve(keyed(tenantId, key, 'cat', { limit: 3, hardLimit: true }))).kind).toBe(
    'quota-exceeded',
  );
  expect(await ledger.reserve(keyed(tenantId, key, 'dog'))).toEqual({ kind: 'admitted' });
});

test('a hold that expired, not swept yet, lets go of its key', async () => {
  const [tenantId, key] = [await fixture.newTenant(), randomUUID()];
  const stale = keyed(tenantId, key, 'cat', { ttlMs: 0 });
  await ledger.reserve(stale);
  const next = keyed(tenantId, key, 'dog');
  expect(await ledger.reserve(next)).toEqual({ kind: 'admitted' });
  expect(await ledger.commit(answered(stale))).toEqual({ kind: 'no-hold' });
  expect((await ledger.commit(answered(next))).kind).toBe('booked');
  await ledger.sweep();
  expect(await ledger.quota(tenantId, null)).toMatchObject({ used: 4, reserved: 0 });
});

test('an answer is kept for 24 hours, and then the key is free, swept or not', async () => {
  const tenantId = await fixture.newTenant();
  for (const sweep of [false, true]) {
    const key = randomUUID();
    const first = keyed(tenantId, key);
    await ledger.reserve(first);
    await ledger.commit(answered(first));
    const { rows } = await fixture.admin.query(
      `UPDATE idempotency SET expires_at = now() WHERE key = $1 RETURNING expires_at`,
      [key],
    );
    expect(rows).toHaveLength(1);
    if (sweep) await ledger.sweep();
    const second = keyed(tenantId, key, 'dog');
    expect(await ledger.reserve(second)).toEqual({ kind: 'admitted' });
    await ledger.commit(answered(second));
    expect((await ledger.reserve(keyed(tenantId, key, 'dog'))).kind).toBe('replay');
  }
  const { rows } = await fixture.admin.query(
    `SELECT bool_and(expires_at BETWEEN now() + interval '23 hours 59 minutes' AND now() + interval '24 hours') AS exact
       FROM idempotency WHERE tenant_id = $1`,
    [tenantId],
  );
  expect(rows[0].exact).toBe(true);
});

test('of many that bring one key at once to two processes, one is admitted', async () => {
  const other = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  for (let round = 0; round < 20; round++) {
    const key = randomUUID();
    const asked = Array.from({ length: 10 }, (_, index) => keyed(tenantId, key, index < 8 ? 'cat' : 'dog'));
    const outcomes = await Promise.all(asked.map((each, index) => [ledger, other][index % 2]!.reserve(each)));
    const admitted = asked.filter((_, index) => outcomes[index]!.kind === 'admitted');
    expect(admitted).toHaveLength(1);
    const sameInput = (each: Reservation) =>
      Buffer.compare(each.idempotency!.requestHash, admitted[0]!.idempotency!.requestHash) === 0;
    for (const [index, each] of asked.entries()) {
      if (each === admitted[0]) continue;
      expect(outcomes[index]!.kind).toBe(sameInput(each) ? 'in-progress' : 'conflict');
    }
    await ledger.commit(answered(admitted[0]!));
    expect((await other.reserve({ ...admitted[0]!, requestId: v7() })).kind).toBe('replay');
  }
});

test("at a month's turn one key over two counters is still one key", async () => {
  const other = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  const now = new Date();
  const nextMonth = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
  for (let round = 0; round < 20; round++) {
    const key = randomUUID();
    const outcomes = await Promise.all([
      ledger.reserve(keyed(tenantId, key, 'cat', { requestId: v7({ msecs: nextMonth - 1 }) })),
      other.reserve(keyed(tenantId, key, 'cat', { requestId: v7({ msecs: nextMonth }) })),
    ]);
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['admitted', 'in-progress']);
  }
});

test('large answers are kept whole, however many come at once', async () => {
  const tenantId = await fixture.newTenant();
  const mask = 'A'.repeat(3_000_000);
  const asked = Array.from({ length: 8 }, () => keyed(tenantId, randomUUID()));
  await Promise.all(asked.map((each) => ledger.reserve(each)));
  const outcomes = await Promise.all(
    asked.map((each, index) =>
      ledger.commit(booking(each, { idempotency: { ...each.idempotency!, answer: { index, mask } } })),
    ),
  );
  expect(outcomes.every(({ kind }) => kind === 'booked')).toBe(true);
  for (const [index, each] of asked.entries()) {
    const replay = await ledger.reserve(keyed(tenantId, each.idempotency!.key));
    expect(replay).toMatchObject({ kind: 'replay', answer: { index } });
    expect(replay.kind === 'replay' && (replay.answer as { mask: string }).mask.length).toBe(mask.length);
  }
});
