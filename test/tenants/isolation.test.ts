import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshTenant, type Installation, openInstallation, password, rejection } from './fixture.ts';

let installation: Installation;
beforeAll(async () => {
  installation = await openInstallation();
});
afterAll(() => installation?.stop());

const own = ['member', 'api_key', 'session'] as const;

async function tenantWithRows() {
  const made = await freshTenant(installation);
  const { principal } = await installation.sessions.signIn(made.email, password, '192.0.2.1');
  return { ...made, sessionId: principal.sessionId! };
}

describe('every table with a tenant', () => {
  test('has row-level security that binds its owner too, and policies that ask for the tenant', async () => {
    const { rows } = await installation.superuser.query<{
      name: string;
      enabled: boolean;
      forced: boolean;
      partition: boolean;
      reachable: boolean;
      policies: { command: string; expression: string }[];
    }>(`
      SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced, c.relispartition AS partition,
             EXISTS (SELECT FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p
                      WHERE has_table_privilege('fovea_app', c.oid, p) OR has_table_privilege('fovea_ledger', c.oid, p)) AS reachable,
             ARRAY(SELECT json_build_object('command', p.polcmd, 'expression', coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''))
                     FROM pg_policy p
                    WHERE p.polrelid = c.oid AND (0 = ANY (p.polroles) OR 'fovea_app'::regrole = ANY (p.polroles))) AS policies
        FROM pg_class c
       WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
         AND (c.relname = 'tenant' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))`);

    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['tenant', ...own]));
    for (const { name, enabled, forced, partition, reachable, policies } of rows) {
      expect({ name, enabled, forced }).toEqual({ name, enabled: true, forced: true });
      if (partition) {
        // Reached through its parent alone, whose policies then apply.
        expect({ name, reachable }).toEqual({ name, reachable: false });
        continue;
      }
      expect(policies.length, `${name} has no policy`).toBeGreaterThan(0);
      for (const { command, expression } of policies) {
        expect(expression, name).toMatch(/fovea_tenant\(\)|fovea_presented/);
        // What somebody presents may let a row be read, never written; a tenant's name is presented by the operator.
        if (expression.includes('fovea_presented') && name !== 'tenant')
          expect({ name, command }).toEqual({ name, command: 'r' });
      }
    }
  });

  test('shows a tenant its own rows, and of another’s none', async () => {
    const [mine, theirs] = [await tenantWithRows(), await tenantWithRows()];
    for (const table of own) {
      const rows = await installation.database.asTenant(mine.tenant.id, (tx) =>
        tx.$queryRawUnsafe<{ tenant_id: string }[]>(`SELECT tenant_id FROM ${table}`),
      );
      expect(rows.length, table).toBeGreaterThan(0);
      for (const row of rows) expect(row.tenant_id, table).toBe(mine.tenant.id);
    }
    const tenants = await installation.database.asTenant(mine.tenant.id, (tx) => tx.tenant.findMany());
    expect(tenants.map(({ id }) => id)).toEqual([mine.tenant.id]);
    expect(theirs.tenant.id).not.toBe(mine.tenant.id);
  });

  test('shows nobody’s rows without a tenant, nor outside a transaction', async () => {
    await tenantWithRows();
    for (const table of [...own, 'tenant']) {
      const statement = `SELECT count(*)::int AS count FROM ${table}`;
      const asOperator = await installation.database.asOperator((tx) => tx.$queryRawUnsafe(statement));
      expect(asOperator, table).toEqual([{ count: 0 }]);
      expect((await installation.database.app.query(statement)).rows, table).toEqual([{ count: 0 }]);
    }
  });

  test('is not written across tenants: no update, no delete, no insert, no reference', async () => {
    const [mine, theirs] = [await tenantWithRows(), await tenantWithRows()];
    const asMine = (statement: string, ...values: unknown[]) =>
      installation.database.asTenant(mine.tenant.id, (tx) => tx.$executeRawUnsafe(statement, ...values));
    expect(
      await asMine('UPDATE api_key SET revoked_at = now() WHERE tenant_id = $1::uuid', theirs.tenant.id),
    ).toBe(0);
    expect(await asMine('UPDATE session SET revoked_at = now() WHERE id = $1::uuid', theirs.sessionId)).toBe(
      0,
    );
    expect(await asMine('DELETE FROM session WHERE id = $1::uuid', theirs.sessionId)).toBe(0);
    const insert = `INSERT INTO session (id, tenant_id, member_id, refresh_sha256, expires_at)
                    SELECT gen_random_uuid(), $1::uuid, $2::uuid, sha256('x'), now()`;
    const theirMember = (
      await installation.superuser.query('SELECT id FROM member WHERE email = $1', [theirs.email])
    ).rows[0].id;
    expect((await rejection(asMine(insert, theirs.tenant.id, theirMember))).message).toMatch(
      /row-level security/,
    );
    expect((await rejection(asMine(insert, mine.tenant.id, theirMember))).message).toMatch(/foreign key/i);
  });
});

describe('presenting', () => {
  test('shows the one row that carries the credential, for reading', async () => {
    const [mine, theirs] = [await tenantWithRows(), await tenantWithRows()];
    const presented = { member: mine.email, api_key: mine.apiKey.prefix.slice(4), session: mine.sessionId };
    for (const table of own) {
      const rows = await installation.database.presenting(presented[table], (tx) =>
        tx.$queryRawUnsafe<{ tenant_id: string }[]>(`SELECT tenant_id FROM ${table}`),
      );
      expect(rows, table).toEqual([{ tenant_id: mine.tenant.id }]);
      const others = own.filter((other) => other !== table);
      for (const other of others) {
        const hidden = await installation.database.presenting(presented[table], (tx) =>
          tx.$queryRawUnsafe(`SELECT 1 FROM ${other}`),
        );
        expect(hidden, `${other} with the credential of ${table}`).toEqual([]);
      }
    }
    for (const [table, change] of [
      ['api_key', 'revoked_at = now()'],
      ['session', 'revoked_at = now()'],
    ] as const) {
      const changed = await installation.database.presenting(presented[table], (tx) =>
        tx.$executeRawUnsafe(`UPDATE ${table} SET ${change}`),
      );
      expect(changed, table).toBe(0);
    }
    expect(theirs.email).not.toBe(mine.email);
  });
});

describe('the application’s role', () => {
  test.each([
    ['delete a key', 'DELETE FROM api_key'],
    ['widen a key', "UPDATE api_key SET scopes = '{ADMIN}'"],
    ['exchange a key’s secret', "UPDATE api_key SET secret_sha256 = sha256('x')"],
    ['move a key to another tenant', 'UPDATE api_key SET tenant_id = gen_random_uuid()'],
    ['change a member', "UPDATE member SET role = 'OWNER'"],
    ['change a plan', 'UPDATE plan SET burst = 1000000'],
    ['delete a signing key', 'DELETE FROM signing_key'],
    ['exchange a signing key', "UPDATE signing_key SET public_pem = 'x'"],
    ['turn row-level security off', 'ALTER TABLE api_key DISABLE ROW LEVEL SECURITY'],
  ])('may not %s', async (_, statement) => {
    const error = await rejection(installation.database.app.query(statement));
    expect(error.message).toMatch(/permission denied|must be owner/);
  });

  test('is the only one to read credentials', async () => {
    for (const table of [...own, 'signing_key']) {
      const error = await rejection(installation.database.ledger.query(`SELECT 1 FROM ${table}`));
      expect(error.message, table).toMatch(/permission denied/);
    }
  });
});
