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

/** What is done without being asked by a client: by the processes whose role it is, any number of them. */
export class Jobs {
  readonly #queue: JobQueue;
  readonly #pool;
  #drifts: number | null = null;

  constructor({ database, ledger, logger }: JobsDependencies) {
    ledger.startSweeping();
    const tasks: Record<string, Task> = {
      make_usage_partitions: { cron: '17 3 * * *', run: () => ledger.makePartitions() },
      check_ledger: {
        cron: '23 4 * * *',
        run: async (_, signal) => {
          const drifts = await onOwnConnection(database.ledger, signal, checkLedger);
          this.#drifts = drifts.length;
          if (drifts.length > 0)
            logger.error({ drifts }, 'the ledger drifts: sums are not what its events say');
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
    const drifts = () => this.#drifts;
    new Gauge({
      name: 'fovea_ledger_drifts',
      help: 'Sums of the ledger that are not what its events say, as the last daily check of this process found; absent before one.',
      registers: [registry],
      collect() {
        this.remove();
        const found = drifts();
        if (found !== null) this.set(found);
      },
    });
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#pool.end();
  }
}

/** What reads for minutes must not keep a process from ending: its connection goes with `signal`. */
async function onOwnConnection<T>(
  pool: pg.Pool,
  signal: AbortSignal,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const client = await pool.connect();
  let isReleased = false;
  const release = (destroy: boolean) => {
    if (!isReleased) client.release(destroy);
    isReleased = true;
  };
  const abort = () => release(true);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await work(client);
  } finally {
    signal.removeEventListener('abort', abort);
    release(false);
  }
}
