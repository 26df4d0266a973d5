import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Jobs } from '../../src/jobs/jobs.ts';
import { openJobsPool } from '../../src/jobs/pool.ts';
import { JobQueue, type Task } from '../../src/jobs/queue.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createLedgerFixture, type LedgerFixture, reservation } from '../metering/ledger-fixture.ts';
import { openLossyProxy } from '../support/lossy-proxy.ts';

let fixture: LedgerFixture;
beforeAll(async () => {
  fixture = await createLedgerFixture();
});
afterAll(() => fixture.close());

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const patience = { timeout: 20_000 };

/** The first queue of all makes what is in its schema. */
async function addJob(name: string, payload: object = {}): Promise<void> {
  const add = () => fixture.admin.query('SELECT graphile_worker.add_job($1, $2::json)', [name, payload]);
  const isAdded = () =>
    add().then(
      () => true,
      () => false,
    );
  await expect.poll(isAdded, patience).toBe(true);
}

function openQueue(tasks: Record<string, Task>, url = fixture.url): void {
  const pool = openJobsPool(url);
  const queue = new JobQueue(pool, tasks, createLogger('silent'));
  ends.push(async () => {
    await queue.close();
    await pool.end();
  });
}

describe('the queue', () => {
  it('has each job done once, whoever of several processes does it', async () => {
    const done: unknown[] = [];
    const tasks = {
      note: {
        cron: null,
        run: async (payload: unknown) => {
          done.push((payload as { n: number }).n);
        },
      },
    };
    openQueue(tasks);
    openQueue(tasks);
    for (let n = 0; n < 50; n++) await addJob('note', { n });
    await expect.poll(() => done.length, patience).toBe(50);
    expect(done.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 50 }, (_, n) => n));
  });

  it('tries again what failed', async () => {
    let attempts = 0;
    openQueue({
      stumble: {
        cron: null,
        run: async () => {
          attempts += 1;
          if (attempts === 1) throw new Error('not yet');
        },
      },
    });
    await addJob('stumble');
    await expect.poll(() => attempts, patience).toBe(2);
  }, 30_000);

  it('goes on after its connections were cut', async () => {
    let done = 0;
    openQueue({
      count: {
        cron: null,
        run: async () => {
          done += 1;
        },
      },
    });
    await addJob('count');
    await expect.poll(() => done, patience).toBe(1);
    await fixture.admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'fovea_jobs' AND datname = current_database()`,
    );
    await addJob('count');
    await expect.poll(() => done, patience).toBe(2);
  }, 60_000);

  it('ends no process where the database goes away under a job, and goes on once it is back', async () => {
    const proxy = await openLossyProxy(fixture.url);
    let failed = 0;
    let done = 0;
    openQueue(
      {
        fail: {
          cron: null,
          run: async () => {
            failed += 1;
            proxy.cut(true);
            throw new Error('the database is away');
          },
        },
        done: {
          cron: null,
          run: async () => {
            done += 1;
          },
        },
      },
      proxy.url,
    );
    ends.push(() => proxy.close());
    await addJob('fail');
    await expect.poll(() => failed, patience).toBe(1);
    // What would end the process ends the run of the tests.
    await delay(3_000);
    proxy.cut(false);
    await addJob('done');
    await expect.poll(() => done, { timeout: 40_000 }).toBe(1);
  }, 60_000);
});

describe('the jobs', () => {
  it('find a ledger that drifts, and say so in the log and on /metrics', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) });
    const ledger = fixture.openLedger();
    const jobs = new Jobs({ database: fixture.database, ledger, logger });
    ends.push(() => jobs.close());
    const registry = new Registry();
    jobs.registerMetrics(registry);
    const drifts = async () =>
      /^fovea_ledger_drifts (\d+)$/m.exec(await registry.metrics())?.[1] ?? 'not checked';
    expect(await drifts()).toBe('not checked');
    const tenantId = await fixture.newTenant();
    await ledger.reserve(reservation(tenantId));
    await addJob('check_ledger');
    await expect.poll(drifts, patience).toBe('0');

    await fixture.admin.query('UPDATE quota_counter SET used = used + 1 WHERE tenant_id = $1', [tenantId]);
    await addJob('check_ledger');
    await expect.poll(drifts, patience).toBe('1');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { msg: expect.stringContaining('the ledger drifts'), drifts: [{ tenantId, sum: 'used' }] },
    ]);
  });

  it('make partitions that are missing, and end holds whose time is over', async () => {
    const ledger = fixture.openLedger();
    const jobs = new Jobs({ database: fixture.database, ledger, logger: createLogger('silent') });
    ends.push(() => jobs.close());
    const tenantId = await fixture.newTenant();
    await ledger.reserve(reservation(tenantId, { ttlMs: 100 }));
    await expect.poll(async () => (await ledger.quota(tenantId, null)).reserved, patience).toBe(0);

    const { rows } = await fixture.admin.query<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'usage_event'::regclass ORDER BY 1`,
    );
    const last = rows.at(-1)!.name;
    await fixture.admin.query(`ALTER TABLE usage_event DETACH PARTITION ${last}; DROP TABLE ${last}`);
    await addJob('make_usage_partitions');
    const exists = async () =>
      (await fixture.admin.query('SELECT to_regclass($1) IS NOT NULL AS made', [last])).rows[0].made;
    await expect.poll(exists, patience).toBe(true);
  });
});

describe('the role of the queue', () => {
  let jobs: pg.Pool;
  beforeAll(() => {
    jobs = openJobsPool(fixture.url);
  });
  afterAll(() => jobs.end());

  it('reaches no table of Fovea', async () => {
    const { rows } = await fixture.admin.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')`,
    );
    expect(rows.length).toBeGreaterThan(10);
    for (const { name } of rows)
      await expect(jobs.query(`SELECT FROM ${name}`)).rejects.toThrow(/permission denied/);
    await expect(jobs.query(`SELECT fovea_release('{}', '{}')`)).rejects.toThrow(/permission denied/);
  });

  it.each(['app', 'ledger'] as const)('is out of reach for fovea_%s', async (role) => {
    await expect(fixture.database[role].query('SELECT FROM graphile_worker.migrations')).rejects.toThrow(
      'permission denied for schema graphile_worker',
    );
  });
});
