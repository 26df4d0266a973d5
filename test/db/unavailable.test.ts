import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { isUnavailable } from '../../src/db/unavailable.ts';
import { createTestDatabase } from '../support/database.ts';
import { databaseUrl } from '../support/postgres.ts';

const tenant = '01890000-0000-7000-8000-000000000001';

let url: string;
let drop: () => Promise<void>;
let database: Database;
let superuser: pg.Pool;
beforeAll(async () => {
  ({ url, drop } = await createTestDatabase());
  database = openDatabase(url, { poolSize: 1 });
  const name = new URL(url).pathname.slice(1);
  superuser = new pg.Pool({ connectionString: databaseUrl(inject('postgres').adminUrl, name), max: 1 });
});
afterAll(async () => {
  await database.close();
  await superuser.end();
  await drop();
});

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'it did not fail',
    (error: unknown) => error,
  );
const endConnections = async (which = ''): Promise<number | null> => {
  const { rowCount } = await superuser.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'fovea_app' AND datname = current_database() ${which}`,
  );
  return rowCount;
};

describe('the database does not answer', () => {
  test.each([
    ['Prisma', () => database.asTenant(tenant, (tx) => tx.$executeRaw`SELECT pg_sleep(60)`)],
    ['the driver', () => database.app.query('SELECT pg_sleep(60)')],
  ])('where a connection ends in the middle of a statement of %s', async (_, work) => {
    const failure = failureOf(work());
    await expect.poll(() => endConnections("AND query LIKE '%pg_sleep(60)'")).toBe(1);
    expect(await failure).toSatisfy(isUnavailable);
  });

  test('where it ends between two statements', async () => {
    const error = await failureOf(
      database.asTenant(tenant, async (tx) => {
        await endConnections();
        await sleep(50);
        await tx.tenant.findMany();
      }),
    );
    expect(error).toSatisfy(isUnavailable);
  });

  test('where no connection is free in time', async () => {
    const connection = await database.app.connect();
    try {
      expect(await failureOf(database.asTenant(tenant, (tx) => tx.tenant.findMany()))).toSatisfy(
        isUnavailable,
      );
    } finally {
      connection.release();
    }
  });

  test('where nothing listens', async () => {
    const nowhere = openDatabase('postgres://x:y@127.0.0.1:1/none');
    expect(await failureOf(nowhere.asTenant(tenant, (tx) => tx.tenant.findMany()))).toSatisfy(isUnavailable);
    expect(await failureOf(nowhere.app.query('SELECT 1'))).toSatisfy(isUnavailable);
    await nowhere.close();
    expect(await failureOf(nowhere.app.query('SELECT 1'))).toSatisfy(isUnavailable);
  });
});

test('an answer that says no is an answer', async () => {
  for (const work of [
    database.app.query('SELEC'),
    database.app.query('SELECT 1 / 0'),
    database.asTenant(tenant, (tx) => tx.$executeRaw`SELECT 1 / 0`),
    database.asTenant(tenant, (tx) => tx.tenant.findUniqueOrThrow({ where: { id: tenant } })),
  ]) {
    const error = await failureOf(work);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toSatisfy(isUnavailable);
  }
  for (const thrown of [null, 'ECONNREFUSED', { code: 'ECONNREFUSED' }, new Error('no')])
    expect(thrown).not.toSatisfy(isUnavailable);
});
