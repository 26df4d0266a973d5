import { v7 } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

let fixture: LedgerFixture;
beforeAll(async () => {
  fixture = await createLedgerFixture();
});
afterAll(() => fixture.close());

const partitions = async () =>
  (
    await fixture.admin.query<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'usage_event'::regclass ORDER BY 1`,
    )
  ).rows.map(({ name }) => name);

function monthsFromNow(months: number): Date {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 1));
}

const nameOf = (month: Date) => `usage_event_${month.toISOString().slice(0, 7).replace('-', '_')}`;

test('this month and the next two stand from the start', async () => {
  expect(await partitions()).toEqual([0, 1, 2].map((months) => nameOf(monthsFromNow(months))));
});

test("made by many at once, in any session's time zone, they are made once, each from midnight to midnight UTC", async () => {
  const make = async (zone: string) => {
    const client = await fixture.database.ledger.connect();
    try {
      await client.query(`SELECT set_config('TimeZone', $1, false)`, [zone]);
      await client.query('SELECT fovea_make_usage_partitions(5)');
    } finally {
      client.release(true);
    }
  };
  await Promise.all(['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'UTC', 'Asia/Kolkata'].map(make));
  expect(await partitions()).toEqual([0, 1, 2, 3, 4, 5].map((months) => nameOf(monthsFromNow(months))));

  const ledger = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  for (let months = 1; months <= 5; months++) {
    const first = monthsFromNow(months).getTime();
    for (const [msecs, month] of [
      [first - 1, months - 1],
      [first, months],
    ] as const) {
      const held = reservation(tenantId, { requestId: v7({ msecs }) });
      await ledger.reserve(held);
      await ledger.commit(booking(held));
      const { rows } = await fixture.admin.query(
        'SELECT tableoid::regclass::text AS name FROM usage_event WHERE request_id = $1',
        [held.requestId],
      );
      expect(rows).toEqual([{ name: nameOf(monthsFromNow(month)) }]);
    }
  }
});

test('commits go on while partitions are made', async () => {
  const maker = await fixture.admin.connect();
  try {
    await maker.query('BEGIN');
    await maker.query('SELECT fovea_make_usage_partitions(8)');
    const ledger = fixture.openLedger();
    const held = reservation(await fixture.newTenant());
    await ledger.reserve(held);
    expect((await ledger.commit(booking(held))).kind).toBe('booked');
  } finally {
    await maker.query('ROLLBACK');
    maker.release();
  }
});

test('no more than two years are made ahead', async () => {
  await expect(fixture.database.ledger.query('SELECT fovea_make_usage_partitions(25)')).rejects.toThrow(
    'expected 0 to 24',
  );
});
