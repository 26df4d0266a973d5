import pg from 'pg';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { databaseUrl } from '../support/postgres.ts';

const rows = 20_000;
const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = openDatabase(testDatabase.url);
  const name = new URL(testDatabase.url).pathname.slice(1);
  const admin = new pg.Client({ connectionString: databaseUrl(inject('postgres').adminUrl, name) });
  await admin.connect();
  try {
    const uuid = `('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid`;
    await admin.query(`
      INSERT INTO tenant (id, name, plan_id, allowed_origins)
        SELECT ${uuid}, 'tenant ' || n, (SELECT id FROM plan LIMIT 1), ARRAY['https://' || n || '.example']
          FROM generate_series(1, ${rows}) n;
      INSERT INTO member (id, tenant_id, email, password_hash, role)
        SELECT ${uuid}, ${uuid}, n || '@example.org', '', 'OWNER' FROM generate_series(1, ${rows}) n;
      INSERT INTO api_key (id, tenant_id, short_id, secret_sha256, name, scopes)
        SELECT ${uuid}, ${uuid}, lpad(n::text, 8, 'k'), decode(repeat('00', 32), 'hex'), 'key', '{INFER}'
          FROM generate_series(1, ${rows}) n;
      INSERT INTO session (id, tenant_id, member_id, refresh_sha256, expires_at)
        SELECT ${uuid}, ${uuid}, ${uuid}, decode(repeat('00', 32), 'hex'), now() FROM generate_series(1, ${rows}) n;
      ANALYZE tenant, member, api_key, session`);
  } finally {
    await admin.end();
  }
}, 60_000);
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

it.each([
  ['tenant', 'tenant 42'],
  ['tenant', 'https://42.example'],
  ['member', '42@example.org'],
  ['api_key', 'kkkkkk42'],
  ['session', id(42)],
])('who presents a credential is found among all of %s by an index', async (table, credential) => {
  const select = `SELECT id FROM ${table}`;
  const { found, plan } = await database.presenting(credential, async (tx) => ({
    found: await tx.$queryRawUnsafe(select),
    plan: JSON.stringify(await tx.$queryRawUnsafe(`EXPLAIN (COSTS OFF) ${select}`)),
  }));
  expect(found).toEqual([{ id: id(42) }]);
  expect(plan).toMatch(/Index/);
  expect(plan).not.toMatch(/Seq Scan/);
});

it('what is presented and no id finds no session, and is no error', async () => {
  for (const credential of ['42@example.org', id(42).slice(1), `${id(42)} `, 'ffffffff']) {
    expect(await database.presenting(credential, (tx) => tx.session.findMany())).toEqual([]);
  }
});
