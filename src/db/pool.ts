import pg from 'pg';
import { OperatorError } from '../lib/errors.ts';
import { withParameters } from './connection-string.ts';

export interface PoolOptions {
  /** Connections at most. */
  readonly max: number;
  /** Past this an unanswered statement fails, and its connection is given up. */
  readonly answerWithinMs: number;
  /** As `answerWithinMs`, counted by the server: what no one waits for any more is not finished either. null: it is. */
  readonly statementTimeoutMs: number | null;
}

/**
 * Connections as `role`, whatever else the connection string asks for. Row-level security rests on that role, so
 * each connection is asked once, before its first use, whether it has it: a pooler in between may drop the options that set it,
 * and no policy holds a superuser. Where it has not, every use rejects with an OperatorError.
 */
export function openPool(url: string, role: string, options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: withParameters(url, {
      // Prisma's adapter reads a timestamptz as if its text were in UTC, whatever zone the server writes it in.
      // A statement whose connection was given up ends within a second, also one that waits for a lock: else each attempt to send it
      // again leaves one more of the server's connections taken.
      options: `-c role=${role} -c TimeZone=UTC -c client_connection_check_interval=1s`,
      application_name: role,
    }),
    max: options.max,
    connectionTimeoutMillis: 5_000,
    query_timeout: options.answerWithinMs,
    statement_timeout: options.statementTimeoutMs ?? false,
    keepAlive: true,
    onConnect: (client) => requireRole(client, role),
  });
  // A pooled connection that breaks while idle is replaced on next use; without a listener it would end the process.
  pool.on('error', () => {});
  // A transaction whose end was never answered: whoever got this connection next would wait behind it, and be inside it.
  pool.on('release', (_, client) => {
    if (client.getTransactionStatus() !== 'I') void client.end();
  });
  return pool;
}

async function requireRole(client: pg.ClientBase, role: string): Promise<void> {
  const { rows } = await client.query<{ name: string; exempt: boolean }>(
    'SELECT rolname AS name, rolsuper OR rolbypassrls AS exempt FROM pg_roles WHERE rolname = current_user',
  );
  const { name, exempt } = rows[0]!;
  if (name !== role) {
    throw new OperatorError(
      `A database connection serves as '${name}', expected '${role}': the startup option that sets the role got lost. ` +
        'Connect without a pooler, or let it pass "options" on.',
    );
  }
  if (exempt) {
    throw new OperatorError(
      `The database role '${role}' is a superuser or has BYPASSRLS, so no policy keeps tenants apart. ` +
        `Let an administrator run: ALTER ROLE ${pg.escapeIdentifier(role)} NOSUPERUSER NOBYPASSRLS;`,
    );
  }
}
