import pg from 'pg';

/** A table in which rows belong to tenants. */
export interface TenantTable {
  readonly name: string;
  /** The column that names the tenant. */
  readonly owner: string;
  readonly isForced: boolean;
  /** What the application's role may do with rows of it. */
  readonly mayInsert: boolean;
  readonly mayDelete: boolean;
  readonly mayUpdate: readonly { column: string; type: string }[];
}

export async function tenantTables(superuser: pg.Client): Promise<TenantTable[]> {
  const { rows } = await superuser.query<TenantTable>(`
    SELECT c.relname AS name, a.attname AS owner, c.relrowsecurity AND c.relforcerowsecurity AS "isForced",
           has_any_column_privilege('fovea_app', c.oid, 'INSERT') AS "mayInsert",
           has_table_privilege('fovea_app', c.oid, 'DELETE') AS "mayDelete",
           coalesce((SELECT json_agg(json_build_object('column', u.attname, 'type', format_type(u.atttypid, null)) ORDER BY u.attnum)
              FROM pg_attribute u WHERE u.attrelid = c.oid AND u.attnum > 0 AND NOT u.attisdropped
               AND has_column_privilege('fovea_app', c.oid, u.attnum, 'UPDATE')), '[]') AS "mayUpdate"
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
       AND a.attname = CASE c.relname WHEN 'tenant' THEN 'id' ELSE 'tenant_id' END
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
     ORDER BY c.relname`);
  return rows;
}

/**
 * Everything by which the tenant `mine` would see or touch rows of `theirs`, or would not reach its own, as the
 * application's role; each in words that begin with the table's name. Both need rows in every table: one without tells
 * nothing, which is a fault too. To be called inside a transaction, in which it leaves nothing behind.
 */
export async function tableFaults(superuser: pg.Client, mine: string, theirs: string): Promise<string[]> {
  const faults: string[] = [];
  for (const table of await tenantTables(superuser)) {
    for await (const fault of faultsOf(superuser, table, mine, theirs)) faults.push(`${table.name} ${fault}`);
  }
  return faults;
}

/** Values of types that any row takes; none reads the row, so that UPDATE is judged by its own policies alone. */
const constants: Record<string, string> = {
  'timestamp with time zone': 'now()',
  boolean: 'false',
  bigint: '0',
  uuid: '(SELECT min(id::text)::uuid FROM plan)',
};

async function* faultsOf(superuser: pg.Client, table: TenantTable, mine: string, theirs: string) {
  const { name, owner, isForced, mayInsert, mayDelete, mayUpdate } = table;
  if (!isForced) yield 'has no row-level security that binds its owner too';

  const { rows } = await superuser.query<{ tenant: string | null; row: object; count: number }>(
    `SELECT ${owner} AS tenant, (array_agg(to_jsonb(t)))[1] AS row, count(*)::int AS count FROM ${name} t GROUP BY 1`,
  );
  const own = rows.find(({ tenant }) => tenant === mine);
  const other = rows.find(({ tenant }) => tenant === theirs);
  if (!own || !other) {
    yield 'lacks rows of both tenants';
    return;
  }
  const open = rows.filter(({ tenant }) => tenant === null);

  const select = `SELECT ${owner} AS tenant, count(*)::int AS count FROM ${name} GROUP BY 1`;
  const expected = [own, ...open].map(({ tenant, count }) => `${tenant}: ${count}`);
  for (const [tenant, sees] of [
    [mine, expected],
    ['', expected.slice(1)],
  ] as const) {
    const seen = await asTenant(superuser, tenant, select);
    const found = seen.rows.map((row) => `${row.tenant}: ${row.count}`);
    if (String(found.sort()) !== String([...sees].sort()))
      yield `shows tenant «${tenant}» [${found}], expected [${sees}] ${seen.error}`;
  }

  if (mayUpdate.length > 0) {
    const settable = mayUpdate.find(({ type }) => type in constants);
    const set = `${settable?.column} = ${constants[settable?.type ?? '']}`;
    const { count, error } = await asTenant(superuser, mine, `UPDATE ${name} SET ${set}`);
    if (count !== own.count) yield `lets ${count} rows be updated, expected ${own.count} ${error}`;
  }
  if (mayDelete) {
    const { count, error } = await asTenant(superuser, mine, `DELETE FROM ${name}`);
    if (count !== own.count) yield `lets ${count} rows be deleted, expected ${own.count} ${error}`;
  }
  if (mayInsert) {
    // Rows that are there already: policies are asked before keys are.
    const insert = `INSERT INTO ${name} SELECT * FROM jsonb_populate_record(NULL::${name}, $1)`;
    const denied = 'new row violates row-level security policy';
    const foreign = await asTenant(superuser, mine, insert, [other.row]);
    if (!foreign.error.includes(denied)) yield `takes a row for another tenant ${foreign.error}`;
    const right = await asTenant(superuser, mine, insert, [own.row]);
    if (!right.error.includes('duplicate key')) yield `takes no row for its own tenant ${right.error}`;
  }
}

/** What one statement comes to for a tenant, undone at once; an error is told, not thrown. */
async function asTenant(superuser: pg.Client, tenant: string, statement: string, values: unknown[] = []) {
  await superuser.query('SAVEPOINT check_tenant; SET LOCAL ROLE fovea_app');
  try {
    await superuser.query("SELECT set_config('fovea.tenant', $1, true)", [tenant]);
    const { rows, rowCount } = await superuser.query(statement, values);
    return { rows, count: rowCount, error: '' };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return { rows: [], count: null, error: `(${error.message})` };
  } finally {
    await superuser.query('ROLLBACK TO SAVEPOINT check_tenant');
  }
}
