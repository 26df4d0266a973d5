import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTwoTenants, type TwoTenants } from '../support/two-tenants.ts';
import { tableFaults, tenantTables } from './table-faults.ts';

let scene: TwoTenants;
beforeAll(async () => {
  scene = await openTwoTenants();
});
afterAll(() => scene.close());

/** The faults that stand once `change` was made; nothing of it stays. */
async function faultsAfter(...change: string[]): Promise<string[]> {
  const { superuser, mine, theirs } = scene;
  await superuser.query('BEGIN');
  try {
    for (const statement of change) await superuser.query(statement);
    return await tableFaults(superuser, mine.id, theirs.id);
  } finally {
    await superuser.query('ROLLBACK');
  }
}

/** Sees that `change` is noticed at `table`. */
async function expectNoticed(table: string, change: string): Promise<void> {
  const tables = (await faultsAfter(change)).map((fault) => fault.slice(0, fault.indexOf(' ')));
  expect(tables, change).toContain(table);
}

it('every table belongs to tenants, or is known to be of the installation', async () => {
  const tables = await tenantTables(scene.superuser);
  const { rows } = await scene.superuser.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
      WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace`,
  );
  const others = rows.map(({ name }) => name).filter((name) => !tables.some((table) => table.name === name));
  expect(others.sort()).toEqual(['_prisma_migrations', 'plan', 'signing_key']);
});

it('no table shows or yields a row of another tenant', async () => {
  expect(await faultsAfter()).toEqual([]);
});

interface Policy {
  readonly name: string;
  readonly table: string;
  readonly using: string | null;
  readonly check: string | null;
}

async function policies(): Promise<Policy[]> {
  const { rows } = await scene.superuser.query<Policy>(
    `SELECT policyname AS name, tablename AS table, qual AS using, with_check AS check
       FROM pg_policies WHERE schemaname = 'public' AND 'fovea_app' = ANY (roles) ORDER BY 1, 2`,
  );
  expect(rows.length).toBeGreaterThanOrEqual(15);
  return rows;
}

describe('the test above fails', () => {
  it('where a policy is missing', async () => {
    for (const { name, table, using } of await policies()) {
      // Without it nobody is recognised by what they present: that hides rows, and other tests tell.
      if (using?.includes('fovea_presented') && !using.includes('fovea_tenant()')) continue;
      await expectNoticed(table, `DROP POLICY ${name} ON ${table}`);
    }
  });

  it('where a policy lets everybody see or change', async () => {
    for (const { name, table, using } of await policies()) {
      if (using !== null) await expectNoticed(table, `ALTER POLICY ${name} ON ${table} USING (true)`);
    }
  });

  it('where a policy lets anything be written', async () => {
    for (const { name, table, check } of await policies()) {
      // Of a model nothing may be updated but whether it is live: its tenant stays what it is, whatever the policy says.
      if (check === null || name === 'model_update') continue;
      await expectNoticed(table, `ALTER POLICY ${name} ON ${table} WITH CHECK (true)`);
    }
  });

  it('where row-level security is off, or spares the owner', async () => {
    for (const { name } of await tenantTables(scene.superuser)) {
      await expectNoticed(name, `ALTER TABLE ${name} DISABLE ROW LEVEL SECURITY`);
      await expectNoticed(name, `ALTER TABLE ${name} NO FORCE ROW LEVEL SECURITY`);
    }
  });

  it('where a table is new and empty, or has rows and no policy', async () => {
    const create =
      'CREATE TABLE note (tenant_id uuid NOT NULL, words text); GRANT SELECT ON note TO fovea_app';
    await expectNoticed('note', create);
    await expectNoticed('note', `${create}; INSERT INTO note SELECT id, 'secret' FROM tenant`);
  });
});
