import { afterAll, beforeAll, expect, test } from 'vitest';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

const tables = ['quota_counter', 'quota_hold', 'usage_event', 'usage_hourly', 'usage_daily', 'idempotency'];

let fixture: LedgerFixture;
let tenantId: string;
let stranger: string;
beforeAll(async () => {
  fixture = await createLedgerFixture();
  [tenantId, stranger] = [await fixture.newTenant(), await fixture.newTenant()];
  const ledger = fixture.openLedger();
  for (const each of [tenantId, stranger]) {
    const idempotency = { key: 'k', requestHash: new Uint8Array(32) };
    const held = reservation(each, { idempotency });
    await ledger.reserve(held);
    await ledger.commit(booking(held, { idempotency: { ...idempotency, answer: {} } }));
    await ledger.reserve(reservation(each));
  }
});
afterAll(() => fixture.close());

test.each(tables)("a tenant reads its own rows of %s, and no tenant's without being one", async (table) => {
  const tenantsSeen = (tenant: string | null) => {
    const read = (tx: { $queryRawUnsafe<T>(sql: string): Promise<T> }) =>
      tx.$queryRawUnsafe<{ tenant_id: string }[]>(`SELECT DISTINCT tenant_id FROM ${table}`);
    return tenant === null ? fixture.database.asOperator(read) : fixture.database.asTenant(tenant, read);
  };
  expect(await tenantsSeen(tenantId)).toEqual([{ tenant_id: tenantId }]);
  expect(await tenantsSeen(stranger)).toEqual([{ tenant_id: stranger }]);
  expect(await tenantsSeen(null)).toEqual([]);
});

test.each(tables)("the application's role does not write %s", async (table) => {
  for (const statement of [
    `INSERT INTO ${table} (tenant_id) VALUES ('${tenantId}')`,
    `UPDATE ${table} SET tenant_id = tenant_id`,
    `DELETE FROM ${table}`,
    `TRUNCATE ${table}`,
  ]) {
    const write = fixture.database.asTenant(tenantId, (tx) => tx.$executeRawUnsafe(statement));
    await expect(write).rejects.toThrow(`permission denied for table ${table}`);
  }
});

test("the application's role books nothing and makes no partitions", async () => {
  for (const call of [
    `fovea_reserve(${Array(11).fill("'{}'").join()}, 0)`,
    `fovea_commit(${Array(14).fill("'{}'").join()}, '{}')`,
    `fovea_release('{}', '{}')`,
    'fovea_sweep_holds(1)',
    "fovea_correct(gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 1, 'a', 'a')",
    'fovea_sweep_answers(1)',
    'fovea_make_usage_partitions(1)',
  ]) {
    await expect(fixture.database.app.query(`SELECT ${call}`)).rejects.toThrow(
      'permission denied for function',
    );
  }
});

test("the ledger's role reaches the ledger's tables and no other", async () => {
  const { rows } = await fixture.admin.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND (CASE WHEN c.relkind = 'S' THEN has_sequence_privilege('fovea_ledger', c.oid, 'USAGE, SELECT, UPDATE')
             ELSE has_any_column_privilege('fovea_ledger', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
               OR has_table_privilege('fovea_ledger', c.oid, 'DELETE, TRUNCATE, TRIGGER') END)`,
  );
  expect(rows.map(({ name }) => name).sort()).toEqual([...tables].sort());
});

test.each(['app', 'ledger'] as const)('fovea_%s changes no event', async (role) => {
  for (const statement of [
    'UPDATE usage_event SET units = 0',
    'DELETE FROM usage_event',
    'TRUNCATE usage_event',
  ]) {
    await expect(fixture.database[role].query(statement)).rejects.toThrow(
      'permission denied for table usage_event',
    );
  }
});

test('no role reaches a partition around the policies', async () => {
  const { rows } = await fixture.admin.query<{ name: string }>(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'usage_event'::regclass`,
  );
  expect(rows.length).toBeGreaterThanOrEqual(3);
  for (const { name } of rows) {
    for (const role of ['app', 'ledger'] as const) {
      for (const statement of [
        `SELECT FROM ${name}`,
        `INSERT INTO ${name} DEFAULT VALUES`,
        `DELETE FROM ${name}`,
      ]) {
        await expect(fixture.database[role].query(statement)).rejects.toThrow(
          `permission denied for table ${name}`,
        );
      }
    }
  }
});

test('not even a superuser changes an event, through the parent or a partition', async () => {
  const { rows } = await fixture.admin.query<{ name: string }>(
    'SELECT DISTINCT tableoid::regclass::text AS name FROM usage_event',
  );
  expect(rows).toHaveLength(1);
  for (const table of ['usage_event', rows[0]!.name]) {
    for (const statement of [`UPDATE ${table} SET units = 0`, `DELETE FROM ${table}`, `TRUNCATE ${table}`]) {
      await expect(fixture.admin.query(statement)).rejects.toThrow('usage events are never changed');
    }
  }
  const { rows: left } = await fixture.admin.query('SELECT units FROM usage_event');
  expect(left).toEqual([{ units: '4' }, { units: '4' }]);
});
