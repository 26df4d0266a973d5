import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkLedger } from '../../src/metering/check.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

let fixture: LedgerFixture;
beforeAll(async () => {
  fixture = await createLedgerFixture();
});
afterAll(() => fixture.close());

test('400 callers of two processes get exactly what a hard limit allows', async () => {
  const ledgers = [fixture.openLedger(), fixture.openLedger()];
  for (let round = 0; round < 10; round++) {
    const tenantId = await fixture.newTenant();
    // The month's counter stands before they come: inserting it would make them wait for each other by itself.
    await ledgers[0]!.reserve(reservation(tenantId, { units: 1 }));
    // 3 does not divide 1,000: one unit stays that nobody fits into.
    const outcomes = await Promise.all(
      Array.from({ length: 400 }, (_, index) =>
        ledgers[index % 2]!.reserve(reservation(tenantId, { units: 3, limit: 1_001, hardLimit: true })),
      ),
    );
    expect(outcomes.filter(({ kind }) => kind === 'admitted')).toHaveLength(333);
    const refused = outcomes.filter((outcome) => outcome.kind === 'quota-exceeded');
    expect(refused).toHaveLength(67);
    expect(refused.every(({ remaining }) => remaining === 1)).toBe(true);
    expect(await ledgers[0]!.quota(tenantId, 1_001)).toMatchObject({
      used: 0,
      reserved: 1_000,
      remaining: 1,
    });
  }
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test('spread over time, and with units coming back, a hard limit is met and never passed', async () => {
  const ledgers = [fixture.openLedger(), fixture.openLedger()];
  const tenantId = await fixture.newTenant();
  const limit = 500;
  let booked = 0;
  await Promise.all(
    Array.from({ length: 60 }, async (_, caller) => {
      const ledger = ledgers[caller % 2]!;
      for (let round = 0; round < 10; round++) {
        const held = reservation(tenantId, { units: 1 + ((caller + round) % 5), limit, hardLimit: true });
        if ((await ledger.reserve(held)).kind !== 'admitted') continue;
        if ((caller + round) % 3 === 0) {
          await ledger.release(held.requestId, tenantId);
          continue;
        }
        const outcome = await ledger.commit(booking(held));
        if (outcome.kind === 'booked') {
          booked += held.units;
          expect(outcome.used + outcome.reserved).toBeLessThanOrEqual(limit);
        }
      }
    }),
  );
  // Every unit that was given back is admitted to whoever asks next, until nothing is left.
  const rest = limit - booked;
  expect(
    (await ledgers[0]!.reserve(reservation(tenantId, { units: rest, limit, hardLimit: true }))).kind,
  ).toBe('admitted');
  expect((await ledgers[1]!.reserve(reservation(tenantId, { units: 1, limit, hardLimit: true }))).kind).toBe(
    'quota-exceeded',
  );
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test('a request too big for what remains is refused, and blocks no smaller one behind it', async () => {
  const ledger = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  const ask = (units: number) => ledger.reserve(reservation(tenantId, { units, limit: 10, hardLimit: true }));
  expect(await Promise.all([ask(6), ask(5), ask(3), ask(2), ask(1)])).toMatchObject([
    { kind: 'admitted' },
    { kind: 'quota-exceeded', remaining: 4 },
    { kind: 'admitted' },
    { kind: 'quota-exceeded', remaining: 1 },
    { kind: 'admitted' },
  ]);
});

test('a refusal says when the quota starts anew', async () => {
  const tenantId = await fixture.newTenant();
  const outcome = await fixture.openLedger().reserve(reservation(tenantId, { limit: 3, hardLimit: true }));
  const now = new Date();
  expect(outcome).toEqual({
    kind: 'quota-exceeded',
    remaining: 3,
    resetsAt: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)),
  });
});

test('a soft limit admits beyond itself', async () => {
  const ledger = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId, { units: 50, limit: 10, hardLimit: false });
  expect(await ledger.reserve(held)).toEqual({ kind: 'admitted' });
  expect(await ledger.commit(booking(held))).toMatchObject({ kind: 'booked', used: 50 });
  expect(await ledger.quota(tenantId, 10)).toMatchObject({ limit: 10, used: 50, remaining: 0 });
  expect(await ledger.quota(tenantId, null)).toMatchObject({ limit: null, used: 50, remaining: null });
});

test('a limit lowered below what is used refuses newcomers and still books what is held', async () => {
  const ledger = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId, { units: 8, limit: 10, hardLimit: true });
  await ledger.reserve(held);
  expect(await ledger.reserve(reservation(tenantId, { units: 1, limit: 5, hardLimit: true }))).toMatchObject({
    kind: 'quota-exceeded',
    remaining: 0,
  });
  expect((await ledger.commit(booking(held))).kind).toBe('booked');
});

test('many tenants in random order never lock each other out', async () => {
  const ledgers = [fixture.openLedger(), fixture.openLedger(), fixture.openLedger()];
  const tenants = await Promise.all(Array.from({ length: 30 }, () => fixture.newTenant()));
  const outcomes = await Promise.all(
    Array.from({ length: 900 }, async (_, index) => {
      const ledger = ledgers[index % ledgers.length]!;
      const held = reservation(tenants[Math.floor(Math.random() * tenants.length)]!);
      const { kind } = await ledger.reserve(held);
      if (index % 4 === 0) return ledger.release(held.requestId, held.tenantId).then(() => kind);
      return ledger.commit(booking(held)).then((outcome) => outcome.kind);
    }),
  );
  expect(new Set(outcomes)).toEqual(new Set(['admitted', 'booked']));
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
  const { rows } = await fixture.admin.query(
    'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
  );
  expect(Number(rows[0].deadlocks)).toBe(0);
});
