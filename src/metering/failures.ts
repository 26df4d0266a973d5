import pg from 'pg';

/**
 * Whether a failed statement says nothing about its data: the connection broke or never came, the server is stopping, short of
 * something, read-only after a switch-over, or chose a victim. Such a statement may be sent again; any other would fail again.
 * The SQLSTATE classes: 08 connection, 25 transaction state, 40 rollback, 53 resources, 55 object state, 57 operator, 58 system.
 */
export function isPassing(error: unknown): boolean {
  return !(error instanceof pg.DatabaseError) || /^(08|25|40|53|55|57|58)/.test(error.code ?? '');
}
