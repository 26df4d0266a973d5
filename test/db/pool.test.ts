import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { type Database, type DatabaseOptions, openDatabase } from '../../src/db/database.ts';
import { openPool } from '../../src/db/pool.ts';
import { isUnavailable } from '../../src/db/unavailable.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type LossyProxy, openLossyProxy } from '../support/lossy-proxy.ts';
import { administer, databaseUrl } from '../support/postgres.ts';

let database: TestDatabase;
/** The same database as a superuser, whom no policy holds unless it takes a role. */
let superuserUrl: string;
let proxy: LossyProxy;
let opened: Database | null = null;

beforeAll(async () => {
  database = await createTestDatabase();
  superuserUrl = databaseUrl(inject('postgres').adminUrl, new URL(database.url).pathname.slice(1));
});
afterAll(() => database.drop());
beforeEach(async () => {
  proxy = await openLossyProxy(superuserUrl);
});
afterEach(async () => {
  await opened?.close();
  opened = null;
  await proxy.close();
});

const open = (url: string, options?: DatabaseOptions) => {
  opened = openDatabase(url, options);
  return opened;
};

function withOptions(options: string): string {
  const url = new URL(superuserUrl);
  url.searchParams.set('options', options);
  url.searchParams.set('application_name', 'someone else');
  return url.href;
}

describe('a connection', () => {
  it('has the role of its pool beside the options of the connection string, and policies hold it', async () => {
    const { app, ledger } = open(withOptions('-c lock_timeout=7s'));
    const asked = `SELECT current_user AS role, current_setting('lock_timeout') AS option,
                          current_setting('application_name') AS name`;
    expect((await app.query(asked)).rows).toEqual([{ role: 'fovea_app', option: '7s', name: 'fovea_app' }]);
    expect((await ledger.query(asked)).rows).toMatchObject([{ role: 'fovea_ledger', option: '7s' }]);
    const admin = new pg.Client({ connectionString: superuserUrl });
    await admin.connect();
    try {
      const insert = `INSERT INTO tenant (id, name, plan_id) SELECT gen_random_uuid(), 'other', id FROM plan LIMIT 1`;
      await admin.query(insert);
      expect((await admin.query('SELECT FROM tenant')).rowCount).toBe(1);
    } finally {
      await admin.end();
    }
    expect((await app.query('SELECT FROM tenant')).rowCount).toBe(0);
  });

  it('has the role of its pool although the connection string asks for another', async () => {
    const { app } = open(withOptions('-c role=none -c TimeZone=Asia/Tokyo'));
    const { rows } = await app.query(`SELECT current_user AS role, current_setting('TimeZone') AS zone`);
    expect(rows).toEqual([{ role: 'fovea_app', zone: 'UTC' }]);
  });

  it('is refused where its role got lost on the way', async () => {
    proxy.rewrite('role=fovea_app', 'role=none     ');
    const { app, asOperator } = open(proxy.url);
    for (let use = 0; use < 2; use++) {
      await expect(app.query('SELECT 1')).rejects.toThrow(/serves as '.+', expected 'fovea_app'/);
      await expect(asOperator((tx) => tx.plan.findMany())).rejects.toThrow(/expected 'fovea_app'/);
    }
  });

  it.each(['SUPERUSER', 'BYPASSRLS'])('is refused where its role is %s', async (attribute) => {
    const role = `fovea_test_${randomBytes(6).toString('hex')}`;
    const { adminUrl } = inject('postgres');
    await administer(adminUrl, `CREATE ROLE ${role} ${attribute}`);
    const pool = openPool(superuserUrl, role, { max: 1, answerWithinMs: 5_000, statementTimeoutMs: null });
    try {
      await expect(pool.query('SELECT 1')).rejects.toThrow(/no policy keeps tenants apart/);
    } finally {
      await pool.end();
      await administer(adminUrl, `DROP ROLE ${role}`);
    }
  });
});

describe('where the network falls silent', () => {
  it('statements fail in the end, and their connections are replaced', async () => {
    const { app, ledger } = open(proxy.url, { poolSize: 1, answerWithinMs: 300 });
    for (const pool of [app, ledger]) {
      proxy.muteAt('SELECT 1');
      await expect(pool.query('SELECT 1')).rejects.toSatisfy(isUnavailable);
      expect((await pool.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    }
  });

  it('a transaction fails in the end, and the next one has a connection that answers', async () => {
    const { asOperator } = open(proxy.url, { poolSize: 1, answerWithinMs: 300 });
    proxy.muteAt('FROM "public"."plan"');
    await expect(asOperator((tx) => tx.plan.findMany())).rejects.toSatisfy(isUnavailable);
    expect((await asOperator((tx) => tx.plan.findMany())).length).toBeGreaterThan(0);
    await vi.waitFor(() => expect(proxy.muted).toBe(0));
  });
});

it('what the application reads is cancelled at the server once nobody waits for it', async () => {
  const { app } = open(superuserUrl, { answerWithinMs: 300 });
  const mark = randomBytes(6).toString('hex');
  await expect(app.query(`SELECT pg_sleep(600), '${mark}'`)).rejects.toThrow('timeout');
  const { ledger } = opened!;
  await vi.waitFor(async () => {
    const { rows } = await ledger.query(
      `SELECT FROM pg_stat_activity WHERE query LIKE '%${mark}%' AND state = 'active' AND pid <> pg_backend_pid()`,
    );
    expect(rows).toEqual([]);
  });
});
