import { createHash } from 'node:crypto';
import pg from 'pg';
import { Invoices } from '../src/billing/invoices.ts';
import { type Database, openDatabase } from '../src/db/database.ts';
import { createLogger } from '../src/lib/logger.ts';
import { periodAfter } from '../src/lib/period.ts';
import { checkLedger } from '../src/metering/check.ts';
import { Ledger } from '../src/metering/ledger.ts';
import { UsageReader } from '../src/metering/usage.ts';
import { UsageExport } from '../src/metering/usage-export.ts';
import { addTenants } from './ledger-tenants.ts';
import { percentile } from './load/figures.ts';
import { readOptions } from './options.ts';
import { columns, figure, tell } from './report.ts';
import { progress } from './service.ts';
import { onStage } from './stage.ts';

const USAGE = `npm run bench -- usage-queries [options]

How long what a dashboard asks takes over a month of events, at two sizes of the ledger on one database: the events are written
straight into its tables, with their roll-ups as commits would have them. A query is of a tenant by chance; all kinds in turn. Then
a million events are exported, as far as there are so many, and at the end every sum is recomputed from the events.

  --million n          millions of events at the larger size, a tenth of them at the smaller (10)
  --tenants n          that they are spread over (50), each with four keys and three models
  --queries n          of each kind, at each size (200)
  --json               one line of JSON in the place of the table
`;

const KEYS = 4;
const MODELS = 3;
const DAYS = 28;
const CHUNK = 250_000;
const STATEMENT_MS = 600_000;
const EXPORTED = 1_000_000;

interface Kind {
  readonly name: string;
  ask(tenantId: string): Promise<unknown>;
}

interface Size {
  readonly events: number;
  /** Milliseconds, 95th percentile, by kind of query. */
  readonly p95: Readonly<Record<string, number>>;
  /** Of all of them. */
  readonly p95OfAll: number;
}

interface Exported {
  readonly events: number;
  readonly eventsASecond: number;
  /** Resident memory of this process, MiB: the most in the first half, and in the second. */
  readonly mibAtFirst: number;
  readonly mib: number;
}

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, {
    seconds: 1,
    rounds: 1,
    million: 10,
    tenants: 50,
    queries: 200,
  });
  if (!options) return;
  await onStage(async ({ databaseUrl }) => {
    const database = openDatabase(databaseUrl);
    const ledger = new Ledger(database.ledger, createLogger('warn'));
    try {
      await ledger.makePartitions();
      const tenants = await addTenants(database, options.tenants);
      // There are partitions from this month on: the next one is taken to be over.
      const month = periodAfter(new Date());
      const sizes: Size[] = [];
      let written = 0;
      for (const events of [options.million * 1e5, options.million * 1e6]) {
        await write(database, tenants, month, written, events);
        written = events;
        await settle(databaseUrl);
        sizes.push(await measure(events, kindsOf(database, ledger, month), tenants, options.queries));
      }
      const exported = await exportEvents(database, tenants, month);
      progress('recomputing every sum from the events');
      const from = performance.now();
      const exact = (await checkLedger(database.ledger)).length === 0;
      const result = {
        tenants: tenants.length,
        sizes,
        ratio: sizes[1]!.p95OfAll / sizes[0]!.p95OfAll,
        exported,
        exact,
        checkSeconds: (performance.now() - from) / 1_000,
      };
      tell(options.json, result, inWords(result));
      if (!exact) process.exitCode = 1;
    } finally {
      await ledger.close();
      await database.close();
    }
  });
}

/** What the dashboard asks: its charts, its tables, and what stands at its top. */
function kindsOf(database: Database, ledger: Ledger, month: Date): Kind[] {
  const usage = new UsageReader(database);
  const invoices = new Invoices(database);
  const end = new Date(month.getTime() + DAYS * 86_400_000);
  const last = (days: number) => ({ from: new Date(end.getTime() - days * 86_400_000), to: end });
  const plan = {
    name: 'Scale',
    version: 1,
    currency: 'usd',
    baseCents: 0n,
    includedUnits: 0n,
    unitAmountDecimal: '0.005',
  };
  return [
    {
      name: 'a day by hours',
      ask: (tenant) => usage.usage(tenant, { ...last(1), bucket: 'HOUR', groupBy: [] }),
    },
    {
      name: 'a week by hours and models',
      ask: (tenant) => usage.usage(tenant, { ...last(7), bucket: 'HOUR', groupBy: ['MODEL'] }),
    },
    {
      name: 'four weeks by days and keys',
      ask: (tenant) => usage.usage(tenant, { ...last(DAYS), bucket: 'DAY', groupBy: ['API_KEY'] }),
    },
    {
      name: 'a month by all but keys',
      ask: (tenant) =>
        usage.usage(tenant, {
          ...last(DAYS),
          bucket: 'MONTH',
          groupBy: ['OPERATION', 'MODEL', 'COMPRESSION'],
        }),
    },
    {
      name: "one key's four weeks",
      ask: (tenant) => usage.ofApiKey(tenant, keyOf(tenant, 1), last(DAYS).from, end),
    },
    { name: 'quota', ask: (tenant) => ledger.quota(tenant, null) },
    { name: 'invoice preview', ask: (tenant) => invoices.preview(tenant, plan, month) },
  ];
}

async function measure(
  events: number,
  kinds: readonly Kind[],
  tenants: readonly string[],
  queries: number,
): Promise<Size> {
  const times: Record<string, number[]> = Object.fromEntries(kinds.map(({ name }) => [name, []]));
  for (let query = 0; query < queries; query++) {
    for (const { name, ask } of kinds) {
      const tenant = tenants[Math.floor(Math.random() * tenants.length)]!;
      const from = performance.now();
      await ask(tenant);
      times[name]!.push(performance.now() - from);
    }
  }
  const p95 = Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, percentile(ms, 95)]));
  const p95OfAll = percentile(Object.values(times).flat(), 95);
  progress(`${figure(events / 1e6)} million events: p95 ${figure(p95OfAll)} ms`);
  return { events, p95, p95OfAll };
}

/** Of one tenant after the other, in the way that the API reads them. */
async function exportEvents(database: Database, tenants: readonly string[], month: Date): Promise<Exported> {
  const usageExport = new UsageExport(database);
  const span = { from: month, to: periodAfter(month) };
  const start = performance.now();
  let [events, mibAtFirst, mib] = [0, 0, 0];
  for (const tenant of tenants) {
    for await (const page of usageExport.pages(tenant, span)) {
      events += page.length;
      const resident = process.memoryUsage().rss / 2 ** 20;
      if (events <= EXPORTED / 2) mibAtFirst = Math.max(mibAtFirst, resident);
      else mib = Math.max(mib, resident);
      if (events >= EXPORTED) break;
    }
    if (events >= EXPORTED) break;
    progress(`${figure(events / 1e6)} million events are exported`);
  }
  return { events, eventsASecond: (events / (performance.now() - start)) * 1_000, mibAtFirst, mib };
}

/** Writes the events numbered `from` to `to` with their roll-ups. They lie within the first days of the month, at random. */
async function write(
  database: Database,
  tenants: readonly string[],
  month: Date,
  from: number,
  to: number,
): Promise<void> {
  for (let first = from; first < to; first += CHUNK) {
    const statement: pg.QueryConfig & { query_timeout: number } = {
      text: insertion,
      values: [tenants, month, first, Math.min(CHUNK, to - first)],
      query_timeout: STATEMENT_MS,
    };
    await database.ledger.query(statement);
    progress(
      `${figure(Math.min(first + CHUNK, to) / 1e6)} of ${figure(to / 1e6)} million events are written`,
    );
  }
}

/** As `keyOf` has it: a key's id is made of its tenant's and its number. */
const insertion = `
  WITH drawn AS MATERIALIZED (
    SELECT n, ($1::uuid[])[1 + floor(random() * cardinality($1::uuid[]))] AS tenant_id, floor(random() * ${KEYS})::int AS key,
           floor(random() * ${MODELS})::int AS model, 1 + floor(random() * 4)::int AS images, exp(2 + random() * 4) AS latency_ms,
           floor(extract(epoch FROM $2::timestamptz) * 1000 + random() * ${DAYS * 86_400_000})::bigint AS ms
    FROM generate_series($3::bigint, $3::bigint + $4::bigint - 1) n
  ),
  event AS (
    INSERT INTO usage_event (tenant_id, request_id, occurred_at, api_key_id, operation, model, version, compression, images, errors,
                             cached_images, units, latency_ms)
    SELECT tenant_id, (lpad(to_hex(ms), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid, to_timestamp(ms / 1000.0),
           md5(tenant_id::text || key)::uuid, (ARRAY['CLASSIFY', 'DETECT', 'SEGMENT'])[model + 1], 'model-' || model, 1, 'NONE',
           images, 0, 0, images, latency_ms
    FROM drawn RETURNING *
  ),
  hourly AS (
    INSERT INTO usage_hourly AS u (tenant_id, start, api_key_id, operation, model, compression,
                                   requests, images, errors, cached_images, units, latency)
    ${rollUp('hour')}
  ),
  daily AS (
    INSERT INTO usage_daily AS u (tenant_id, start, api_key_id, operation, model, compression,
                                  requests, images, errors, cached_images, units, latency)
    ${rollUp('day')}
  )
  INSERT INTO quota_counter AS c (tenant_id, meter, period, used)
    SELECT tenant_id, 'units', $2, sum(units) FROM event GROUP BY 1
    ON CONFLICT (tenant_id, meter, period) DO UPDATE SET used = c.used + excluded.used`;

function rollUp(bucket: 'hour' | 'day'): string {
  return `
    SELECT tenant_id, date_trunc('${bucket}', occurred_at, 'UTC'), api_key_id, operation, model, compression, count(*), sum(images),
           0, 0, sum(units), fovea_histogram(ceil(ln(latency_ms) / ln(2) * 4)::int)
    FROM event GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (tenant_id, start, api_key_id, operation, model, compression) DO UPDATE SET
      requests = u.requests + excluded.requests, images = u.images + excluded.images, units = u.units + excluded.units,
      latency = fovea_histogram_add(u.latency, excluded.latency)`;
}

function keyOf(tenant: string, key: number): string {
  const hash = createHash('md5').update(`${tenant}${key}`).digest('hex');
  return hash.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** What autovacuum would have done by the time that a month has passed. */
async function settle(databaseUrl: string): Promise<void> {
  const owner = new pg.Client(databaseUrl);
  await owner.connect();
  try {
    await owner.query('VACUUM (ANALYZE) usage_event, usage_hourly, usage_daily, quota_counter');
  } finally {
    await owner.end();
  }
}

interface Result {
  readonly tenants: number;
  readonly sizes: readonly Size[];
  readonly ratio: number;
  readonly exported: Exported;
  readonly exact: boolean;
  readonly checkSeconds: number;
}

function inWords({ tenants, sizes, ratio, exported, exact, checkSeconds }: Result): string {
  const { events, eventsASecond, mibAtFirst, mib } = exported;
  const names = Object.keys(sizes[0]!.p95);
  const rows = [
    ...names.map((name) => [name, ...sizes.map(({ p95 }) => p95[name]!)]),
    ['all', ...sizes.map(({ p95OfAll }) => p95OfAll)],
  ];
  return [
    columns(['p95, ms', ...sizes.map(({ events }) => `${figure(events / 1e6)} million`)], rows),
    `${tenants} tenants; the larger size takes ${figure(ratio)} of the smaller one's`,
    `${figure(events / 1e6)} million events exported, ${figure(eventsASecond)} a second; resident ${figure(mibAtFirst)} MiB at most in the first half, ${figure(mib)} in the second`,
    `${exact ? 'the ledger is exact' : 'THE LEDGER DRIFTED'}, as ${figure(checkSeconds)} s of checking say`,
  ].join('\n');
}
