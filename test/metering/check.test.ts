import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkLedger } from '../../src/metering/check.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

let fixture: LedgerFixture;
let tenantId: string;
beforeAll(async () => {
  fixture = await createLedgerFixture();
  tenantId = await fixture.newTenant();
  const ledger = fixture.openLedger();
  const [booked, open] = [reservation(tenantId, { units: 7 }), reservation(tenantId, { units: 5 })];
  await Promise.all([ledger.reserve(booked), ledger.reserve(open)]);
  await ledger.commit(booking(booked, { units: 6 }));
});
afterAll(() => fixture.close());

test('an exact ledger has no drift', async () => {
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test.each([
  ['used', 'UPDATE quota_counter SET used = used + 1', { expected: 6n, found: 7n }],
  ['reserved', 'UPDATE quota_counter SET reserved = reserved - 1', { expected: 5n, found: 4n }],
  ['hourly', 'UPDATE usage_hourly SET units = units - 1', { expected: 6n, found: 5n }],
  ['daily', 'DELETE FROM usage_daily', { expected: 6n, found: 0n }],
])('a drift of %s is found, with whose it is and by how much', async (sum, statement, sums) => {
  const { rows } = await fixture.admin.query('SELECT period FROM quota_counter');
  const client = await fixture.admin.connect();
  try {
    await client.query('BEGIN');
    await client.query(statement);
    const drifts = await checkLedger(client);
    expect(drifts).toEqual([{ tenantId, period: rows[0].period, sum, ...sums }]);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
});

test('a month without a counter is a drift too', async () => {
  const client = await fixture.admin.connect();
  try {
    await client.query('BEGIN');
    await client.query('DELETE FROM quota_counter');
    const drifts = await checkLedger(client);
    expect(drifts.map(({ sum }) => sum)).toEqual(['reserved', 'used']);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
});
