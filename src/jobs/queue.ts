import { setTimeout as delay } from 'node:timers/promises';
import { type CronItem, Logger as GraphileLogger, parseCronItems, type Runner, run } from 'graphile-worker';
import type pg from 'pg';
import type { Logger } from '../lib/logger.ts';

/** What the queue can be asked to do, by name. */
export interface Task {
  /** When it is done without being asked, in UTC, as cron has it: minute, hour, day, month, weekday. null: never. */
  readonly cron: string | null;
  /** What fails is tried again, later each time. `signal` aborts when the process ends. */
  run(payload: unknown, signal: AbortSignal): Promise<void>;
}

/** One that fails to come up is tried again after so long. */
const OPEN_AGAIN_MS = 5_000;
const DAY_MS = 24 * 3_600_000;
const CONCURRENCY = 2;
/** Jobs under way may take so long to end once the process does. */
const GRACE_MS = 2_000;
const SCHEMA = 'graphile_worker';

/**
 * Jobs that survive whoever was to do them: rows in PostgreSQL, of which each is done by one process at a time (graphile-worker, in a
 * schema of its own). A job whose process was killed stays taken for four hours. What is due by the clock and was missed, since no
 * process ran, is made up for within a day.
 */
export class JobQueue {
  readonly #pool: pg.Pool;
  readonly #tasks: Readonly<Record<string, Task>>;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #started = Promise.withResolvers<void>();
  #runner: Runner | null = null;

  /** `pool` connects as fovea_jobs, and stays the caller's to end. */
  constructor(pool: pg.Pool, tasks: Readonly<Record<string, Task>>, logger: Logger) {
    this.#pool = pool;
    this.#tasks = tasks;
    this.#logger = logger;
    this.#running = this.#keepRunning();
  }

  /** Resolves when it has begun for the first time, or is closed. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Whether jobs are begun. */
  get isRunning(): boolean {
    return this.#runner !== null;
  }

  /** Begins no more jobs, and settles when those under way are done, or have been waited for. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#started.resolve();
    const runner = this.#runner;
    const stopped = Promise.all([runner?.stop(), this.#running]).catch(() => {}); // It has stopped by itself.
    const waited = new AbortController();
    await Promise.race([stopped, delay(GRACE_MS, undefined, { signal: waited.signal }).catch(() => {})]);
    waited.abort();
  }

  /** It ends by itself where the database is away for long. */
  async #keepRunning(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        this.#runner = await this.#open();
        this.#started.resolve();
        if (signal.aborted) await this.#runner.stop();
        await this.#runner.promise;
      } catch (error) {
        if (!signal.aborted)
          this.#logger.warn({ err: error }, 'the queue of jobs has stopped, to be started again');
      }
      this.#runner = null;
      await delay(OPEN_AGAIN_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  #open(): Promise<Runner> {
    const tasks = Object.entries(this.#tasks);
    const crons = tasks.flatMap(([task, { cron: match }]): CronItem[] =>
      match === null ? [] : [{ task, match, options: { backfillPeriod: DAY_MS, maxAttempts: 5 } }],
    );
    return run({
      pgPool: this.#pool,
      taskList: Object.fromEntries(
        tasks.map(([name, task]) => [name, (payload: unknown) => task.run(payload, this.#closing.signal)]),
      ),
      parsedCronItems: parseCronItems(crons),
      concurrency: CONCURRENCY,
      noHandleSignals: true,
      schema: SCHEMA,
      // Told together, what came of jobs has an error handler; told one by one, a database that is away ends the process.
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      logger: this.#graphileLogger(),
    });
  }

  #graphileLogger(): GraphileLogger {
    const levels = { error: 'error', warning: 'warn', info: 'debug', debug: 'debug' } as const;
    return new GraphileLogger((scope) => (level, message, meta) => {
      this.#logger[levels[level as keyof typeof levels] ?? 'debug']({ ...scope, ...meta }, message);
    });
  }
}
