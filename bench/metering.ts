import { v7 as uuidv7 } from 'uuid';
import { openDatabase } from '../src/db/database.ts';
import { createLogger } from '../src/lib/logger.ts';
import { checkLedger } from '../src/metering/check.ts';
import { Ledger } from '../src/metering/ledger.ts';
import { cpuTimes } from './cpu-time.ts';
import { fsyncMs } from './fsync.ts';
import { addTenants } from './ledger-tenants.ts';
import { median, percentile } from './load/figures.ts';
import { readOptions } from './options.ts';
import { columns, figure, tell } from './report.ts';
import { progress } from './service.ts';
import { onStage } from './stage.ts';

const USAGE = `npm run bench -- metering [options]

Reservations and commits that one process gets through to PostgreSQL's disk, as pairs a second, and how long a pair takes: with
callers that begin the next pair when the one before is booked. One hot tenant, whose counter every pair locks, against a thousand
tenants; in turn, on one database. Beside it the processor time that a pair takes. At the end the whole ledger is recomputed from its
events.

  --seconds n          of each measurement (5)
  --rounds n           of all measurements in turn: medians are told (3)
  --tenants n          that the load is spread over (1000)
  --json               one line of JSON in the place of the table
`;

const CALLERS = [40, 400];
const LOADS = ['hot', 'spread'] as const;
type Load = (typeof LOADS)[number];
/** Until the database has its plans and its pages. */
const WARM_UP_MS = 1_000;

interface Measured {
  readonly pairsPerSecond: number;
  /** Milliseconds from asking for the reservation until the commit is durable. */
  readonly p50: number;
  readonly p99: number;
  /** Processor time of a pair, microseconds: PostgreSQL's (NaN where there is no /proc), and of the process that asks it. */
  readonly postgresUs: number;
  readonly processUs: number;
}

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 5, rounds: 3, tenants: 1_000 });
  if (!options) return;
  await onStage(async ({ databaseUrl, folder }) => {
    const database = openDatabase(databaseUrl);
    const ledger = new Ledger(database.ledger, createLogger('warn'));
    try {
      const tenants = await addTenants(database, options.tenants);
      await ledger.makePartitions();
      const of: Record<Load, readonly string[]> = { hot: tenants.slice(0, 1), spread: tenants };
      for (const load of LOADS) await measure(ledger, of[load], 40, WARM_UP_MS);
      const rounds: Record<Load, Measured[]>[] = [];
      for (let round = 1; round <= options.rounds; round++) {
        const measured: Record<Load, Measured[]> = { hot: [], spread: [] };
        for (const callers of CALLERS) {
          for (const load of LOADS) {
            const found = await measure(ledger, of[load], callers, options.seconds * 1_000);
            measured[load].push(found);
            progress(
              `round ${round} of ${options.rounds}, ${callers} callers, ${load}: ${figure(found.pairsPerSecond)} pairs/s, p99 ${figure(found.p99)} ms`,
            );
          }
        }
        rounds.push(measured);
      }
      progress('recomputing every sum from the events');
      const drifts = await checkLedger(database.ledger);
      const loads = CALLERS.map((callers, index) => {
        const over = (value: (of: Record<Load, Measured>) => number) =>
          median(rounds.map(({ hot, spread }) => value({ hot: hot[index]!, spread: spread[index]! })));
        const summary = (load: Load): Measured => ({
          pairsPerSecond: over((measured) => measured[load].pairsPerSecond),
          p50: over((measured) => measured[load].p50),
          p99: over((measured) => measured[load].p99),
          postgresUs: over((measured) => measured[load].postgresUs),
          processUs: over((measured) => measured[load].processUs),
        });
        const hotOverSpread = over(({ hot, spread }) => hot.pairsPerSecond / spread.pairsPerSecond);
        return { callers, hot: summary('hot'), spread: summary('spread'), hotOverSpread };
      });
      const result = { fsyncMs: fsyncMs(folder), tenants: tenants.length, loads, exact: drifts.length === 0 };
      tell(options.json, result, inWords(result));
      if (drifts.length > 0) process.exitCode = 1;
    } finally {
      await ledger.close();
      await database.close();
    }
  });
}

/** Has `callers` work at once for `ms`; what is under way then is finished, and not counted. */
async function measure(
  ledger: Ledger,
  tenants: readonly string[],
  callers: number,
  ms: number,
): Promise<Measured> {
  const before = cpuMs();
  const from = performance.now();
  const latencies: number[] = [];
  const call = async (caller: number) => {
    for (let turn = caller; ; turn += callers) {
      const begun = performance.now();
      await bookOne(ledger, tenants[turn % tenants.length]!);
      const ended = performance.now();
      if (ended - from > ms) return;
      latencies.push(ended - begun);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  const after = cpuMs();
  const pairs = latencies.length + callers;
  return {
    pairsPerSecond: (latencies.length / ms) * 1_000,
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
    postgresUs: ((after.postgres - before.postgres) / pairs) * 1_000,
    processUs: ((after.process - before.process) / pairs) * 1_000,
  };
}

function cpuMs(): { postgres: number; process: number } {
  const { user, system } = process.cpuUsage();
  return { postgres: cpuTimes().PostgreSQL ?? Number.NaN, process: (user + system) / 1_000 };
}

async function bookOne(ledger: Ledger, tenantId: string): Promise<void> {
  const requestId = uuidv7();
  const hold = { requestId, tenantId, units: 1, ttlMs: 60_000, idempotency: null };
  const reserved = await ledger.reserve({ ...hold, limit: 1_000_000_000, hardLimit: true });
  if (reserved.kind !== 'admitted') throw new Error(`A reservation was not admitted: ${reserved.kind}`);
  const booked = await ledger.commit({
    requestId,
    tenantId,
    apiKeyId: null,
    memberId: null,
    operation: 'CLASSIFY',
    model: 'mobilenet',
    version: 1,
    compression: 'NONE',
    images: 1,
    errors: 0,
    cachedImages: 0,
    units: 1,
    latencyMs: 12.5,
    idempotency: null,
  });
  if (booked.kind !== 'booked') throw new Error(`A commit was not booked: ${booked.kind}`);
}

interface Result {
  readonly fsyncMs: { readonly p50: number; readonly p99: number };
  readonly tenants: number;
  readonly loads: readonly {
    readonly callers: number;
    readonly hot: Measured;
    readonly spread: Measured;
    readonly hotOverSpread: number;
  }[];
  readonly exact: boolean;
}

function inWords({ fsyncMs, tenants, loads, exact }: Result): string {
  const rows = loads.flatMap(({ callers, ...measured }) =>
    LOADS.map((load) => {
      const { pairsPerSecond, p50, p99, postgresUs, processUs } = measured[load];
      const name = load === 'hot' ? 'one' : String(tenants);
      return [name, callers, pairsPerSecond, p50, p99, postgresUs, processUs];
    }),
  );
  const ratios = loads.map(({ callers, hotOverSpread }) => `${figure(hotOverSpread)} at ${callers} callers`);
  return [
    columns(
      ['tenants', 'callers', 'pairs/s', 'p50, ms', 'p99, ms', 'PostgreSQL, CPU µs a pair', 'this process'],
      rows,
    ),
    `one hot tenant over ${tenants}: ${ratios.join(', ')}; an fdatasync takes ${figure(fsyncMs.p50)} ms (p99 ${figure(fsyncMs.p99)}); ${exact ? 'the ledger is exact' : 'THE LEDGER DRIFTED'}`,
  ].join('\n');
}
