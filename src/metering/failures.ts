import pg from 'pg';
import { isUnavailable } from '../db/unavailable.ts';

/**
 * Whether a failed statement says nothing about its data: the database did not answer, is read-only after a switch-over, is
 * stopping, or chose a victim. Such a statement may be sent again; any other would fail again, or is a fault of this program.
 * The SQLSTATE classes: 25 transaction state, 40 rollback, 55 object state, 57 operator, 58 system.
 */
export function isPassing(error: unknown): boolean {
  return (
    isUnavailable(error) || (error instanceof pg.DatabaseError && /^(25|40|55|57|58)/.test(error.code ?? ''))
  );
}

/** Whether PostgreSQL has refused a statement for good: nothing came of it. */
export function isRefused(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !isPassing(error);
}

/**
 * Whether one row may have spoilt a statement of many, which then would succeed without it. A fault of this program, a missing
 * grant or table (class 42) would fail any of them.
 */
export function mayBeOfOneRow(error: unknown): boolean {
  return isRefused(error) && !(error as pg.DatabaseError).code?.startsWith('42');
}
