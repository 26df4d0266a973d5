import type pg from 'pg';
import { Gauge, type Registry } from 'prom-client';
import type { Database } from '../db/database.ts';
import type { Logger } from '../lib/logger.ts';
import { checkLedger } from '../metering/check.ts';
import type { Ledger } from '../metering/ledger.ts';
import { openJobsPool } from './pool.ts';
import { JobQueue, type Task } from './queue.ts';

export interface JobsDependencies {
  readonly database: Database;
  readonly ledger: Ledger;
  readonly logger: Logger;
}

/** All of them may be too much for a line. `fovea ledger check` tells the rest. */
const DRIFTS_LOGGED = 20;

/** What is done without being asked by a client: by the processes whose role it is, any number of them. */
export class Jobs {
  readonly #queue: JobQueue;
  readonly #pool;
  #lastCheck: { readonly drifts: number; readonly at: number } | null = null;

  constructor({ database, ledger, logger }: JobsDependencies) {
    ledger.startSweeping();
    const tasks: Record<string, Task> = {
      make_usage_partitions: { cron: '17 3 * * *', run: () => ledger.makePartitions() },
      check_ledger: {
        cron: '23 4 * * *',
        run: async (_, signal) => {
          const drifts = await onOwnConnection(database.ledger, signal, checkLedger);
          this.#lastCheck = { drifts: drifts.length, at: Date.now() };
          if (drifts.length > 0) {
            const first = drifts.slice(0, DRIFTS_LOGGED);
            logger.error(
              { drifts: first, all: drifts.length },
              'the ledger drifts: sums are not what its events say',
            );
          }
        },
      },
    };
    this.#pool = openJobsPool(database.url);
    this.#queue = new JobQueue(this.#pool, tasks, logger);
  }

  /** Resolves when they have begun for the first time, or are closed. */
  get started(): Promise<void> {
    return this.#queue.started;
  }

  /** Whether what is due is done. */
  get areRunning(): boolean {
    return this.#queue.isRunning;
  }

  /** What `/metrics` tells of them. */
  registerMetrics(registry: Registry): void {
    const lastCheck = () => this.#lastCheck;
    new Gauge({
      name: 'fovea_ledger_drifts',
      help: 'Sums of the ledger that are not what its events say, 1,000 at most, as the last daily check of this process found; absent before one.',
      registers: [registry],
      collect() {
        this.remove();
        const check = lastCheck();
        if (check) this.set(check.drifts);
      },
    });
    new Gauge({
      name: 'fovea_ledger_checked_timestamp_seconds',
      help: 'When that was: a day is checked by one of the processes, and what the last of them found counts; absent before one.',
      registers: [registry],
      collect() {
        this.remove();
        const check = lastCheck();
        if (check) this.set(check.at / 1_000);
      },
    });
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#pool.end();
  }
}

/**
 * What reads for minutes must not keep a process from ending: its connection goes with `signal`. It is no one's after that: where
 * `work` gave up waiting, a statement may be under way on it yet.
 */
async function onOwnConnection<T>(
  pool: pg.Pool,
  signal: AbortSignal,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const client = await pool.connect();
  let isReleased = false;
  const release = () => {
    if (!isReleased) client.release(true);
    isReleased = true;
  };
  signal.addEventListener('abort', release, { once: true });
  try {
    return await work(client);
  } finally {
    signal.removeEventListener('abort', release);
    release();
  }
}
