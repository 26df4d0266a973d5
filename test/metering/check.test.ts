import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkLedger, type Drift } from '../../src/metering/check.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

let fixture: LedgerFixture;
let tenantId: string;
beforeAll(async () => {
  fixture = await createLedgerFixture();
  tenantId = await fixture.newTenant();
  const ledger = fixture.openLedger();
  const [booked, open] = [reservation(tenantId, { units: 7 }), reservation(tenantId, { units: 5 })];
  await Promise.all([ledger.reserve(booked), ledger.reserve(open)]);
  await ledger.commit(booking(booked, { units: 6, images: 3, errors: 2 }));
});
afterAll(() => fixture.close());

test('an exact ledger has no drift', async () => {
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test.each([
  ['used', 'units', 'UPDATE quota_counter SET used = used + 1', 6n, 7n],
  ['reserved', 'units', 'UPDATE quota_counter SET reserved = reserved - 1', 5n, 4n],
  ['hourly', 'units', 'UPDATE usage_hourly SET units = units - 1', 6n, 5n],
  ['hourly', 'requests', 'UPDATE usage_hourly SET requests = requests + 1', 1n, 2n],
  ['hourly', 'images', 'UPDATE usage_hourly SET images = images - 1', 3n, 2n],
  ['daily', 'errors', 'UPDATE usage_daily SET errors = errors - 1', 2n, 1n],
])(
  'a drift of %s %s is found, with whose it is and by how much',
  async (sum, measure, statement, expected, found) => {
    const { rows } = await fixture.admin.query('SELECT period FROM quota_counter');
    expect(await driftsAfter(statement)).toEqual([
      { tenantId, period: rows[0].period, sum, measure, expected, found },
    ]);
  },
);

test('an event that cost nothing and is lost or there twice is found by its request', async () => {
  const added = await driftsAfter(
    `INSERT INTO usage_event SELECT tenant_id, gen_random_uuid(), occurred_at, api_key_id, member_id, operation, model, version,
       compression, 0, 0, 0, 0, latency_ms FROM usage_event`,
  );
  const requests = { measure: 'requests', expected: 2n, found: 1n };
  expect(added).toMatchObject([
    { sum: 'daily', ...requests },
    { sum: 'hourly', ...requests },
  ]);
});

test('whole tables that are empty are drifts too', async () => {
  const sums = async (statement: string) =>
    (await driftsAfter(statement)).map(({ sum, measure }) => `${sum} ${measure}`);
  expect(await sums('DELETE FROM quota_counter')).toEqual(['reserved units', 'used units']);
  expect(await sums('DELETE FROM usage_daily')).toEqual([
    'daily errors',
    'daily images',
    'daily requests',
    'daily units',
  ]);
});

/** The drifts once `statement` was carried out; nothing of it stays. */
async function driftsAfter(statement: string): Promise<Drift[]> {
  const client = await fixture.admin.connect();
  try {
    await client.query('BEGIN');
    await client.query(statement);
    return await checkLedger(client);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}
