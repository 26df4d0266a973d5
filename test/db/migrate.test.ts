import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { OperatorError } from '../../src/lib/errors.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { administer } from '../support/postgres.ts';

let database: TestDatabase;
let folder: string;

beforeEach(async () => {
  database = await createEmptyDatabase();
  folder = await mkdtemp(join(tmpdir(), 'fovea-migrations-'));
});

afterEach(async () => {
  await database.drop();
  await rm(folder, { recursive: true });
});

async function migration(name: string, sql: string): Promise<void> {
  await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, name, 'migration.sql'), sql);
}

async function rowsOf(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('migrate', () => {
  it('applies what is missing in order, once', async () => {
    await migration('20260102000000_second', 'INSERT INTO step VALUES (2);');
    await migration('20260101000000_first', 'CREATE TABLE step (number int); INSERT INTO step VALUES (1);');
    expect(await migrate(database.url, { folder })).toEqual([
      '20260101000000_first',
      '20260102000000_second',
    ]);
    expect(await migrate(database.url, { folder })).toEqual([]);

    await migration('20260103000000_third', 'INSERT INTO step VALUES (3);');
    expect(await migrate(database.url, { folder })).toEqual(['20260103000000_third']);
    expect(await rowsOf('SELECT number FROM step')).toEqual([{ number: 1 }, { number: 2 }, { number: 3 }]);
  });

  it("keeps Prisma's books", async () => {
    const sql = 'CREATE TABLE step (name text DEFAULT $$é$$);';
    await migration('20260101000000_first', sql);
    await migrate(database.url, { folder });
    const rows = await rowsOf('SELECT * FROM _prisma_migrations');
    expect(rows).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        checksum: createHash('sha256').update(sql).digest('hex'),
        migration_name: '20260101000000_first',
        started_at: expect.any(Date),
        finished_at: expect.any(Date),
        logs: null,
        rolled_back_at: null,
        applied_steps_count: 1,
      },
    ]);
  });

  it('lets one of several concurrent runners apply a migration, and the others wait', async () => {
    await migration('20260101000000_first', 'CREATE TABLE step (number int); SELECT pg_sleep(0.2);');
    await migration('20260102000000_second', 'INSERT INTO step VALUES (2);');
    const applied = await Promise.all(Array.from({ length: 5 }, () => migrate(database.url, { folder })));
    expect(applied.flat()).toEqual(['20260101000000_first', '20260102000000_second']);
    expect(await rowsOf('SELECT number FROM step')).toHaveLength(1);
  });

  it('leaves nothing of a migration that fails, keeps those before it, and goes on once it is mended', async () => {
    await migration('20260101000000_first', 'CREATE TABLE step (number int);');
    await migration(
      '20260102000000_second',
      'CREATE TABLE half ();\nINSERT INTO step VALUES (2);\nSELECT missing FROM step;',
    );
    const failing = migrate(database.url, { folder });
    await expect(failing).rejects.toThrow(OperatorError);
    await expect(failing).rejects.toThrow(/20260102000000_second failed at line 3 .*"missing"/);
    expect(await rowsOf(`SELECT to_regclass('half') AS half, count(*)::int FROM step`)).toEqual([
      { half: null, count: 0 },
    ]);
    expect(await rowsOf('SELECT migration_name FROM _prisma_migrations')).toHaveLength(1);

    await migration('20260102000000_second', 'INSERT INTO step VALUES (2);');
    expect(await migrate(database.url, { folder })).toEqual(['20260102000000_second']);
  });

  it('refuses an applied migration that was changed since', async () => {
    await migration('20260101000000_first', 'CREATE TABLE step (number int);');
    await migrate(database.url, { folder });
    await migration('20260101000000_first', 'CREATE TABLE step (number bigint);');
    await migration('20260102000000_second', 'INSERT INTO step VALUES (2);');
    await expect(migrate(database.url, { folder })).rejects.toThrow(/20260101000000_first was changed/);
    expect(await rowsOf('SELECT number FROM step')).toEqual([]);
  });

  it('refuses a database that is ahead of the files', async () => {
    await migration('20260101000000_first', 'CREATE TABLE step (number int);');
    await migrate(database.url, { folder });
    await rm(join(folder, '20260101000000_first'), { recursive: true });
    await expect(migrate(database.url, { folder })).rejects.toThrow(/20260101000000_first.*newer/);
  });

  it('refuses a migration that another tool began and did not finish', async () => {
    await migration('20260101000000_first', 'SELECT 1;');
    await migrate(database.url, { folder });
    await rowsOf('UPDATE _prisma_migrations SET finished_at = NULL');
    await expect(migrate(database.url, { folder })).rejects.toThrow(
      /20260101000000_first was begun by another tool/,
    );
  });

  it('names the server it cannot reach, without the password', async () => {
    const unreachable = migrate('postgresql://someone:hunter2@127.0.0.1:1/fovea', { folder });
    await expect(unreachable).rejects.toThrow(/127\.0\.0\.1:1 .*'fovea'.*ECONNREFUSED/);
    await expect(unreachable).rejects.not.toThrow(/hunter2/);
  });

  it('lets the login that migrates serve', async () => {
    await migrate(database.url);
    const opened = openDatabase(database.url);
    try {
      const { rows } = await opened.app.query('SELECT current_user AS role');
      expect(rows).toEqual([{ role: 'fovea_app' }]);
      expect((await opened.ledger.query('SELECT current_user AS role')).rows).toEqual([
        { role: 'fovea_ledger' },
      ]);
    } finally {
      await opened.close();
    }
  });

  it('lets another login serve that is named, and no login that is not', async () => {
    const login = `fovea_login_${process.pid}`;
    const { adminUrl } = inject('postgres');
    await administer(adminUrl, `CREATE ROLE ${login} LOGIN PASSWORD 'serving'`);
    const url = new URL(database.url);
    url.username = login;
    url.password = 'serving';
    const opened = openDatabase(url.href);
    try {
      await migrate(database.url);
      await expect(opened.app.query('SELECT 1')).rejects.toThrow(/permission denied to set role/);
      await migrate(database.url, { appLogin: login });
      expect((await opened.app.query('SELECT name FROM plan')).rows.length).toBeGreaterThan(0);
      await expect(opened.app.query('CREATE TABLE other ()')).rejects.toThrow(/permission denied/);
    } finally {
      await opened.close();
      await administer(adminUrl, `DROP ROLE ${login}`);
    }
  });

  it('names a login that does not exist', async () => {
    await expect(migrate(database.url, { appLogin: 'nobody_here' })).rejects.toThrow(
      /login 'nobody_here' does not exist/,
    );
  });
});
