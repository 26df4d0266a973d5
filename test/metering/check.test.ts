import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CheckOptions, checkLedger, type Drift } from '../../src/metering/check.ts';
import { correct } from '../../src/metering/corrections.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

const apiKeyId = '00000000-0000-4000-8000-000000000001';
const row = { apiKeyId, operation: 'CLASSIFY', model: 'squeezenet', compression: 'NONE' };
const noRow = { apiKeyId: null, operation: null, model: null, compression: null };

let fixture: LedgerFixture;
let tenantId: string;
let month: Date;
let hour: Date;
let day: Date;
beforeAll(async () => {
  fixture = await createLedgerFixture();
  tenantId = await fixture.newTenant();
  const ledger = fixture.openLedger();
  const [booked, open] = [reservation(tenantId, { units: 7 }), reservation(tenantId, { units: 5 })];
  await Promise.all([ledger.reserve(booked), ledger.reserve(open)]);
  // Just on the upper bound of a bucket, 2^(14/4) ms: the fifteenth.
  const latencyMs = 2 ** 3.5;
  await ledger.commit(
    booking(booked, { apiKeyId, units: 6, images: 3, errors: 2, cachedImages: 1, latencyMs }),
  );
  await correct(fixture.database.ledger, {
    ...{ tenantId, requestId: booked.requestId, units: 1, reason: 'too many', author: 'Ada' },
  });
  const { rows } = await fixture.admin.query<{ month: Date; hour: Date; day: Date }>(
    `SELECT date_trunc('month', occurred_at, 'UTC') AS month, date_trunc('hour', occurred_at, 'UTC') AS hour,
            date_trunc('day', occurred_at, 'UTC') AS day FROM usage_event LIMIT 1`,
  );
  ({ month, hour, day } = rows[0]!);
});
afterAll(() => fixture.close());

test('an exact ledger has no drift', async () => {
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test.each([
  ['used', 'units', 'UPDATE quota_counter SET used = used + 1', '5', '6'],
  ['reserved', 'units', 'UPDATE quota_counter SET reserved = reserved - 1', '5', '4'],
  ['hourly', 'units', 'UPDATE usage_hourly SET units = units - 1', '5', '4'],
  ['hourly', 'requests', 'UPDATE usage_hourly SET requests = requests + 1', '1', '2'],
  ['hourly', 'images', 'UPDATE usage_hourly SET images = images - 1', '3', '2'],
  ['hourly', 'latency', "UPDATE usage_hourly SET latency = '[16:16]={1}'", '15:1', '16:1'],
  ['daily', 'errors', 'UPDATE usage_daily SET errors = errors - 1', '2', '1'],
  ['daily', 'cached_images', 'UPDATE usage_daily SET cached_images = 0', '1', '0'],
  ['daily', 'latency', "UPDATE usage_daily SET latency = '[15:17]={1,NULL,2}'", '15:1', '15:1,17:2'],
] as const)(
  'a drift of %s %s is found, with whose it is and by how much',
  async (sum, measure, statement, expected, found) => {
    const of =
      sum === 'hourly'
        ? { start: hour, ...row }
        : sum === 'daily'
          ? { start: day, ...row }
          : { start: month, ...noRow };
    expect(await driftsAfter(statement)).toEqual([{ tenantId, sum, ...of, measure, expected, found }]);
  },
);

describe('units that stand', () => {
  const rowsOf = async (statement: string) =>
    (await driftsAfter(statement))
      .filter(({ measure }) => measure === 'units')
      .map(({ sum, start, model, apiKeyId, expected, found }) => {
        return { sum, start, model, apiKeyId, expected, found };
      });
  const right = { model: 'squeezenet', apiKeyId, expected: '5', found: '0' };
  const wrong = { expected: '0', found: '5' };

  test('under another model', async () => {
    expect(await rowsOf("UPDATE usage_daily SET model = 'other'")).toEqual([
      { sum: 'daily', start: day, ...right, ...wrong, model: 'other' },
      { sum: 'daily', start: day, ...right },
    ]);
  });

  test('with a member in the place of a key', async () => {
    expect(await rowsOf('UPDATE usage_hourly SET api_key_id = NULL')).toEqual([
      { sum: 'hourly', start: hour, ...right },
      { sum: 'hourly', start: hour, ...right, ...wrong, apiKeyId: null },
    ]);
  });

  test('in another hour', async () => {
    const later = new Date(hour.getTime() + 3_600_000);
    const drifts = await rowsOf("UPDATE usage_hourly SET start = start + interval '1 hour'");
    expect(drifts).toContainEqual({ sum: 'hourly', start: hour, ...right });
    expect(drifts).toContainEqual({ sum: 'hourly', start: later, ...right, ...wrong });
  });
});

test('an event that cost nothing and is lost or there twice is found by its request', async () => {
  const added = await driftsAfter(
    `INSERT INTO usage_event SELECT tenant_id, gen_random_uuid(), occurred_at, api_key_id, member_id, operation, model, version,
       compression, 0, 0, 0, 0, latency_ms FROM usage_event WHERE corrects IS NULL`,
  );
  const requests = { measure: 'requests', expected: '2', found: '1' };
  const latency = { measure: 'latency', expected: '15:2', found: '15:1' };
  expect(added).toMatchObject([
    { sum: 'daily', ...latency },
    { sum: 'daily', ...requests },
    { sum: 'hourly', ...latency },
    { sum: 'hourly', ...requests },
  ]);
});

test('whole tables that are empty are drifts too', async () => {
  const sums = async (statement: string) =>
    (await driftsAfter(statement)).map(({ sum, measure }) => `${sum} ${measure}`);
  expect(await sums('DELETE FROM quota_counter')).toEqual(['reserved units', 'used units']);
  expect(await sums('DELETE FROM usage_daily')).toEqual(
    ['cached_images', 'errors', 'images', 'latency', 'requests', 'units'].map(
      (measure) => `daily ${measure}`,
    ),
  );
});

test('no more than a thousand drifts are told', async () => {
  const drifts = await driftsAfter(
    `INSERT INTO usage_hourly SELECT tenant_id, start, gen_random_uuid(), operation, model, compression, 1, 1, 0, 0, 0, '{1}'
       FROM usage_hourly, generate_series(1, 400)`,
  );
  expect(drifts).toHaveLength(1_000);
});

describe('a month whose partition is detached', () => {
  const name = () => `usage_event_${month.toISOString().slice(0, 7).replace('-', '_')}`;
  const detach = () => `ALTER TABLE usage_event DETACH PARTITION ${name()};`;

  test('is exact', async () => {
    expect(await driftsAfter(detach())).toEqual([]);
  });

  test.each([
    ['used', 'units', 'UPDATE quota_counter SET used = used + 1'],
    ['daily', 'latency', "UPDATE usage_daily SET latency = '[16:16]={1}'"],
    ['daily', 'cached_images', 'UPDATE usage_daily SET cached_images = 0'],
    ['hourly', 'requests', 'UPDATE usage_hourly SET requests = 2'],
  ])('drifts in %s %s where it is not what the hours say', async (sum, measure, statement) => {
    expect(await driftsAfter(detach() + statement)).toMatchObject([{ sum, measure }]);
  });
});

describe('a span', () => {
  const next = () => new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 20));
  const inMonth = () => new Date(month.getTime() + 86_400_000);
  beforeAll(async () => {
    const ledger = fixture.openLedger();
    const held = reservation(tenantId, { requestId: v7({ msecs: next().getTime() }) });
    await ledger.reserve(held);
    await ledger.commit(booking(held));
  });

  test.each([
    ['all there is', () => ({}), 2],
    ['from a time in a month on', () => ({ from: inMonth() }), 2],
    ['from a time in the next month on', () => ({ from: next() }), 1],
    ['until the next month', () => ({ to: new Date(next().setUTCDate(1)) }), 1],
    ['until a time in the next month', () => ({ to: next() }), 2],
    ['in which there is nothing', () => ({ from: new Date(0), to: new Date(1) }), 0],
  ])('%s is checked in whole months', async (_, options, drifts) => {
    const spoil = 'UPDATE quota_counter SET used = used + 1';
    expect(await driftsAfter(spoil, options())).toHaveLength(drifts);
  });

  test('tells the months as it comes to them', async () => {
    const months: string[] = [];
    const onMonth = (each: Date) => months.push(each.toISOString());
    await checkLedger(fixture.database.ledger, { to: next(), onMonth });
    expect(months).toEqual([month.toISOString(), new Date(next().setUTCDate(1)).toISOString()]);
  });
});

/** The drifts once `statement` was carried out; nothing of it stays. */
async function driftsAfter(statement: string, options: CheckOptions = {}): Promise<Drift[]> {
  const client = await fixture.admin.connect();
  try {
    await client.query('BEGIN');
    await client.query(statement);
    await client.query('SET LOCAL ROLE fovea_ledger');
    return await checkLedger(client, options);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}
