import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BadUserInputError } from '../../src/lib/errors.ts';
import { checkLedger } from '../../src/metering/check.ts';
import { bucketOf, upperBound } from '../../src/metering/latency-histogram.ts';
import type { Booking, Ledger } from '../../src/metering/ledger.ts';
import { UsageReader } from '../../src/metering/usage.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

/** Midnight UTC of a first of a month, one month ahead: both months around it have partitions. */
const now = new Date();
const turn = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
const hour = 3_600_000;
const day = 24 * hour;
const at = (ms: number) => new Date(turn + ms);

let fixture: LedgerFixture;
let ledger: Ledger;
let usage: UsageReader;
beforeAll(async () => {
  fixture = await createLedgerFixture();
  // A server of the operator's own may write times in any zone.
  await fixture.admin.query(
    `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Kathmandu'); END $$`,
  );
  ledger = fixture.openLedger();
  usage = new UsageReader(fixture.database);
});
afterAll(() => fixture.close());

async function book(tenantId: string, ms: number, fields: Partial<Booking> = {}): Promise<Booking> {
  const held = reservation(tenantId, { requestId: v7({ msecs: turn + ms }), units: 1_000 });
  await ledger.reserve(held);
  const booked = booking(held, { units: 4, ...fields });
  expect((await ledger.commit(booked)).kind).toBe('booked');
  return booked;
}

test.each([0.5, 1.5, 20, 5_000, 500_000])(
  'a latency of %d ms by itself is told within its own bucket, by hours and by days',
  async (latencyMs) => {
    const tenantId = await fixture.newTenant();
    await book(tenantId, hour, { latencyMs });
    const bucket = bucketOf(latencyMs);
    for (const size of ['HOUR', 'DAY'] as const) {
      const span = { from: at(0), to: at(day), bucket: size, groupBy: [] };
      const [point] = await usage.usage(tenantId, span);
      for (const told of [point!.p50Ms!, point!.p95Ms!]) {
        expect(told).toBeGreaterThan(bucket === 0 ? 0 : upperBound(bucket - 1));
        expect(told).toBeLessThanOrEqual(upperBound(bucket));
      }
    }
  },
);

describe('2,000 random bookings', () => {
  const pick = <T>(options: readonly T[]) => options[Math.floor(Math.random() * options.length)]!;
  const keys = [randomUUID(), randomUUID(), null];
  const span = { from: at(-3 * day), to: at(3 * day) };
  let tenantId: string;
  let booked: { ms: number; booking: Booking }[];

  beforeAll(async () => {
    tenantId = await fixture.newTenant();
    const tasks = Array.from({ length: 2_000 }, async () => {
      const ms = Math.floor((Math.random() - 0.5) * 6 * day);
      const fields: Partial<Booking> = {
        apiKeyId: pick(keys),
        operation: pick(['CLASSIFY', 'DETECT'] as const),
        model: pick(['squeezenet', 'mobilenet']),
        compression: pick(['NONE', 'INT8']),
        images: pick([0, 1, 5]),
        errors: pick([0, 0, 2]),
        units: pick([0, 4, 12]),
        latencyMs: Math.exp(Math.random() * 9),
      };
      return { ms, booking: await book(tenantId, ms, fields) };
    });
    booked = await Promise.all(tasks);
  });

  /** The same question answered from what was booked, without the ledger. */
  function expected(bucketStart: (ms: number) => number, group: (booking: Booking) => string) {
    const points = new Map<
      string,
      { requests: number; images: number; units: number; errors: number; latencies: number[] }
    >();
    for (const { ms, booking } of booked) {
      const name = `${new Date(bucketStart(turn + ms)).toISOString()} ${group(booking)}`;
      const point = points.get(name) ?? { requests: 0, images: 0, units: 0, errors: 0, latencies: [] };
      point.requests++;
      point.images += booking.images;
      point.units += booking.units;
      point.errors += booking.errors;
      point.latencies.push(booking.latencyMs);
      points.set(name, point);
    }
    return points;
  }

  test.each([
    ['HOUR', (ms: number) => Math.floor(ms / hour) * hour],
    ['DAY', (ms: number) => Math.floor(ms / day) * day],
    ['MONTH', (ms: number) => Date.UTC(new Date(ms).getUTCFullYear(), new Date(ms).getUTCMonth(), 1)],
  ] as const)(
    'by %s and every dimension the roll-ups say what was booked, percentiles within a bucket',
    async (bucket, start) => {
      const points = await usage.usage(tenantId, {
        ...span,
        bucket,
        groupBy: ['API_KEY', 'MODEL', 'COMPRESSION', 'OPERATION'],
      });
      const truth = expected(
        start,
        (each) => `${each.apiKeyId} ${each.model} ${each.compression} ${each.operation}`,
      );
      expect(points).toHaveLength(truth.size);
      for (const point of points) {
        const { apiKeyId, model, compression, operation, requests, images, units, errors } = point;
        const { latencies, ...sums } = truth.get(
          `${point.start.toISOString()} ${apiKeyId} ${model} ${compression} ${operation}`,
        )!;
        expect({ requests, images, units, errors }).toEqual(sums);
        latencies.sort((a, b) => a - b);
        for (const [quantile, found] of [
          [0.5, point.p50Ms],
          [0.95, point.p95Ms],
        ] as const) {
          const exact = latencies[Math.max(0, Math.ceil(quantile * latencies.length) - 1)]!;
          expect(Math.abs(bucketOf(found!) - bucketOf(exact))).toBeLessThanOrEqual(1);
        }
      }
    },
  );

  test('grouped by nothing, a point carries no dimension', async () => {
    const points = await usage.usage(tenantId, { ...span, bucket: 'MONTH', groupBy: [] });
    expect(points).toHaveLength(2);
    expect(Object.keys(points[0]!).sort()).toEqual([
      'errors',
      'images',
      'p50Ms',
      'p95Ms',
      'requests',
      'start',
      'units',
    ]);
    expect(points.map(({ start }) => start)).toEqual([
      new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)),
      at(0),
    ]);
    expect(points.reduce((sum, { requests }) => sum + requests, 0)).toBe(2_000);
  });

  test("one key's usage is the same from hours and from days", async () => {
    const truth = booked.filter(({ booking }) => booking.apiKeyId === keys[0]);
    const units = truth.reduce((sum, { booking }) => sum + booking.units, 0);
    const whole = await usage.ofApiKey(tenantId, keys[0]!, span.from, span.to);
    expect(whole).toMatchObject({ start: span.from, apiKeyId: keys[0], requests: truth.length, units });
    expect(await usage.ofApiKey(tenantId, keys[0]!, at(-3 * day - 1), at(3 * day))).toEqual({
      ...whole,
      start: at(-3 * day - hour),
    });
  });

  test('counters and roll-ups agree with the events', async () => {
    expect(await checkLedger(fixture.database.ledger)).toEqual([]);
  });
});

test('"from" is rounded down, "to" up and exclusive, and empty buckets are left out', async () => {
  const tenantId = await fixture.newTenant();
  for (const ms of [-1, 0, hour - 1, 2 * hour]) await book(tenantId, ms);
  const starts = async (from: number, to: number) =>
    (await usage.usage(tenantId, { from: at(from), to: at(to), bucket: 'HOUR', groupBy: [] })).map(
      ({ start, requests }) => [start.getTime() - turn, requests],
    );
  expect(await starts(30 * 60_000, 2 * hour + 1)).toEqual([
    [0, 2],
    [2 * hour, 1],
  ]);
  expect(await starts(0, 2 * hour)).toEqual([[0, 2]]);
  expect(await starts(-1, 1)).toEqual([
    [-hour, 1],
    [0, 2],
  ]);
  expect(await starts(3 * hour, 4 * hour)).toEqual([]);
});

test("no tenant sees another's usage", async () => {
  const [tenantId, stranger] = [await fixture.newTenant(), await fixture.newTenant()];
  const apiKeyId = randomUUID();
  await book(tenantId, 0, { apiKeyId });
  expect(
    await usage.usage(stranger, { from: at(-day), to: at(day), bucket: 'DAY', groupBy: ['API_KEY'] }),
  ).toEqual([]);
  expect(await usage.ofApiKey(stranger, apiKeyId, at(0), at(day))).toMatchObject({
    requests: 0,
    p50Ms: null,
    p95Ms: null,
  });
  expect(await usage.ofApiKey(tenantId, apiKeyId, at(0), at(day))).toMatchObject({ requests: 1 });
});

test('more points than anyone reads are refused, and the same in fewer groups answered', async () => {
  const tenantId = await fixture.newTenant();
  await fixture.admin.query(
    `INSERT INTO usage_hourly SELECT $1, $2::timestamptz + make_interval(hours => h), gen_random_uuid(), 'CLASSIFY', 'm', 'NONE',
       1, 1, 0, 0, 4, array_fill(1::bigint, ARRAY[69]) FROM generate_series(0, 99) h, generate_series(1, 101)`,
    [tenantId, at(0)],
  );
  const query = { from: at(0), to: at(100 * hour), bucket: 'HOUR' } as const;
  const refused = usage.usage(tenantId, { ...query, groupBy: ['API_KEY'] });
  await expect(refused).rejects.toThrow(BadUserInputError);
  await expect(refused).rejects.toThrow('narrow the span, take a larger bucket, or group by less');
  const less = { ...query, to: at(99 * hour) };
  expect(await usage.usage(tenantId, { ...less, groupBy: ['API_KEY'] })).toHaveLength(99 * 101);
  expect(await usage.usage(tenantId, { ...query, groupBy: [] })).toHaveLength(100);
});

test.each([
  ['an end before its beginning', { from: at(1), to: at(0), bucket: 'DAY' }, '"from" must be before "to"'],
  ['no time at all', { from: at(0), to: at(0), bucket: 'DAY' }, '"from" must be before "to"'],
  [
    '10,001 hours',
    { from: at(0), to: at(10_000 * hour + 1), bucket: 'HOUR' },
    '10001 buckets of one HOUR, at most 10000',
  ],
  [
    '10,001 days',
    { from: at(0), to: at(10_001 * day), bucket: 'DAY' },
    '10001 buckets of one DAY, at most 10000',
  ],
  [
    'ten thousand months and one',
    { from: new Date(Date.UTC(1, 0)), to: new Date(Date.UTC(2_735, 0)), bucket: 'MONTH' },
    'buckets of one MONTH, at most 10000',
  ],
] as const)('%s is refused', async (_, query, message) => {
  const asked = usage.usage(randomUUID(), { ...query, groupBy: [] });
  await expect(asked).rejects.toThrow(BadUserInputError);
  await expect(asked).rejects.toThrow(message);
});
