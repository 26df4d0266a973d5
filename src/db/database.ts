import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import { type Prisma, PrismaClient } from './generated/client.ts';
import { openPool } from './pool.ts';

/** A transaction of the application's role: every row it sees belongs to the tenant it was opened for. */
export type Transaction = Prisma.TransactionClient;

export interface Database {
  /** Connection string, for those that need a connection of their own (LISTEN, advisory locks). */
  readonly url: string;
  /** Plain SQL as `fovea_app`. Row-level security hides every tenant's rows outside `asTenant` and its kin. */
  readonly app: pg.Pool;
  /** Plain SQL as `fovea_ledger`: holds, counters, events and roll-ups alone. For `src/metering`. */
  readonly ledger: pg.Pool;

  /**
   * Runs `work` in one transaction that sees and writes the rows of `tenantId`, and public ones. With `oneSnapshot` all that it reads
   * is as it was at one moment.
   */
  asTenant<T>(
    tenantId: string,
    work: (tx: Transaction) => Promise<T>,
    options?: { oneSnapshot?: boolean },
  ): Promise<T>;
  /** Runs `work` with no tenant: it sees and writes public rows alone. For the operator's command line. */
  asOperator<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Runs `work` for a caller that is not known yet: beside public rows it sees the row that carries `credential` (an API key's
   * short id, an e-mail address in lower case, a session's id, an upload's id, a tenant's name).
   */
  presenting<T>(credential: string, work: (tx: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** Connections of each of the two pools at most. */
  poolSize?: number;
  /** For how long a statement may stay unanswered, and a transaction of the application last. */
  answerWithinMs?: number;
}

export function openDatabase(
  url: string,
  { poolSize: max = 8, answerWithinMs = 5_000 }: DatabaseOptions = {},
): Database {
  // What the application reads nobody needs late; a commit that is under way counts, whether its answer is waited for or not.
  const app = openPool(url, 'fovea_app', { max, answerWithinMs, statementTimeoutMs: answerWithinMs });
  const ledger = openPool(url, 'fovea_ledger', { max, answerWithinMs, statementTimeoutMs: null });
  // `disposeExternalPool` stays off: both pools are closed by `close` alone.
  const prisma = new PrismaClient({
    adapter: new PrismaPg(app),
    transactionOptions: { timeout: answerWithinMs },
  });

  const inTransaction = <T>(
    settings: { tenant?: string; presented?: string },
    work: (tx: Transaction) => Promise<T>,
    oneSnapshot = false,
  ): Promise<T> =>
    prisma.$transaction(
      async (tx) => {
        // The third argument makes both settings end with the transaction, so that a pooled connection carries nothing over.
        await tx.$executeRaw`SELECT set_config('fovea.tenant', ${settings.tenant ?? ''}, true),
                                    set_config('fovea.presented', ${settings.presented ?? ''}, true)`;
        return work(tx);
      },
      oneSnapshot ? { isolationLevel: 'RepeatableRead' } : {},
    );

  return {
    url,
    app,
    ledger,
    asTenant: (tenant, work, { oneSnapshot } = {}) => inTransaction({ tenant }, work, oneSnapshot),
    asOperator: (work) => inTransaction({}, work),
    presenting: (presented, work) => inTransaction({ presented }, work),
    async close() {
      await prisma.$disconnect();
      await Promise.all([app.end(), ledger.end()]);
    },
  };
}
