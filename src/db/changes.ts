import { changedChannel } from './changed-cache.ts';
import type { Transaction } from './database.ts';

/** What may have changed: a tenant (its plan and members too), a key by its short id, a session, a model, the signing keys. */
export type Change =
  | `tenant:${string}`
  | `key:${string}`
  | `session:${string}`
  | `model:${string}`
  | 'signing-keys';

/**
 * Tells every process what `tx` changed. PostgreSQL delivers it when `tx` commits and not at all when it does not, so
 * whoever reads again on hearing it reads the new state.
 */
export async function announce(tx: Transaction, change: Change): Promise<void> {
  await tx.$executeRaw`SELECT pg_notify(${changedChannel}, ${change})`;
}
