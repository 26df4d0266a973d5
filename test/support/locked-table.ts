import pg from 'pg';
import { onTestFinished, vi } from 'vitest';
import type { TestServer } from './server.ts';

export interface LockedTable {
  /** Until a statement of the server waits for the table. */
  waitedFor(): Promise<void>;
  unlock(): Promise<void>;
}

/** Keeps everybody else from a table, until `unlock` or the end of the test: what needs it waits. */
export async function lockTable(server: TestServer, table: string): Promise<LockedTable> {
  const owner = new pg.Client({ connectionString: server.databaseUrl });
  await owner.connect();
  await owner.query(`BEGIN; LOCK TABLE ${pg.escapeIdentifier(table)} IN ACCESS EXCLUSIVE MODE`);
  let locked = true;
  const unlock = async () => {
    if (!locked) return;
    locked = false;
    await owner.query('ROLLBACK');
    await owner.end();
  };
  onTestFinished(unlock);
  return {
    unlock,
    async waitedFor() {
      await vi.waitUntil(
        async () => {
          const { rows } = await owner.query(
            'SELECT FROM pg_locks WHERE NOT granted AND relation = to_regclass($1)',
            [pg.escapeIdentifier(table)],
          );
          return rows.length > 0;
        },
        { timeout: 20_000, interval: 10 },
      );
    },
  };
}
