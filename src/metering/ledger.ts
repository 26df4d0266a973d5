import type pg from 'pg';
import type { Logger } from '../lib/logger.ts';
import { periodAfter, periodOf } from '../lib/period.ts';
import { type Repeating, repeat } from '../lib/repeating.ts';
import { Flusher } from './flusher.ts';
import {
  bookingRow,
  commitAll,
  type LedgerRow,
  readCounter,
  releaseAll,
  reservationRow,
  reserveAll,
  sizeOf,
} from './ledger-statements.ts';
import { persist } from './persist.ts';
import type { QuotaState } from './quota.ts';
import type { Booking, CommitOutcome, Reservation, ReserveOutcome } from './reservation.ts';

export type { Booking, CommitOutcome, Reservation, ReserveOutcome } from './reservation.ts';

// For so long the database may be away; a connection that falls silent is waited for once, and the statement sent again.
/** While a commit's fate is unknown its caller waits. */
const commitPatienceMs = 5_000;
/** Who has only reserved may as well be told at once, once a broken connection has been replaced. */
const reservePatienceMs = 1_000;

/** Reading again changes nothing. */
const readPatienceMs = 1_000;

const sweepEveryMs = 1_000;
const sweepAtOnce = 500;
const partitionsAhead = 2;

/**
 * What tenants may use, hold and have used. A request reserves units, is served, and commits what was answered or releases
 * it all; each call resolves when its transaction has ended. All methods throw what the database threw where it refused the data
 * or stayed away: a failed `reserve` may leave a hold behind, which expires.
 */
export class Ledger {
  readonly #pool: pg.Pool;
  readonly #logger: Logger;
  // Three, since only a commit must wait for the disk: reservations would share that wait in a common transaction.
  readonly #reservations: Flusher<LedgerRow, ReserveOutcome>;
  readonly #commits: Flusher<LedgerRow, CommitOutcome>;
  readonly #releases: Flusher<{ requestId: string; tenantId: string }, undefined>;
  #sweeping: Repeating | null = null;

  /** `pool` connects as fovea_ledger, and stays the caller's to end. */
  constructor(pool: pg.Pool, logger: Logger) {
    this.#pool = pool;
    this.#logger = logger;
    this.#reservations = new Flusher({
      flush: (rows) => reserveAll(pool, rows),
      names: ({ requestId, tenantId, idempotencyKey }) =>
        idempotencyKey === null ? [requestId] : [requestId, `${tenantId} ${idempotencyKey}`],
      sizeOf,
      patienceMs: reservePatienceMs,
    });
    this.#commits = new Flusher({
      flush: (rows, again) => commitAll(pool, rows, again),
      names: ({ requestId }) => [requestId],
      sizeOf,
      patienceMs: commitPatienceMs,
    });
    this.#releases = new Flusher({
      flush: (rows) => releaseAll(pool, rows),
      names: ({ requestId }) => [requestId],
      sizeOf: ({ requestId }) => requestId.length,
      patienceMs: reservePatienceMs,
    });
  }

  /** Holds units, if they fit: a hard limit counts what is used and what others hold. */
  async reserve(reservation: Reservation): Promise<ReserveOutcome> {
    return this.#reservations.submit(reservationRow(reservation));
  }

  /**
   * Books what was served and gives the rest of the hold back. Once it answers 'booked', the booking survives a crash. Where it
   * throws because the database stayed away, whether it booked is open: answer nothing; the idempotency key tells later.
   */
  async commit(booking: Booking): Promise<CommitOutcome> {
    return this.#commits.submit(bookingRow(booking));
  }

  /** Gives the whole hold back. Harmless where there is none. */
  async release(requestId: string, tenantId: string): Promise<void> {
    return this.#releases.submit({ requestId, tenantId });
  }

  /** Where the tenant stands this month under `limit` (null: unlimited). */
  async quota(tenantId: string, limit: number | null): Promise<QuotaState> {
    const period = periodOf(new Date());
    // A replay ends with this, and must not fail for a connection that broke meanwhile.
    const { used, reserved } = await persist(readPatienceMs, () => readCounter(this.#pool, tenantId, period));
    const remaining = limit === null ? null : Math.max(0, limit - used - reserved);
    return { meter: 'units', limit, used, reserved, remaining, resetsAt: periodAfter(period) };
  }

  /** Makes room for this month and those ahead. */
  async makePartitions(): Promise<void> {
    await this.#pool.query('SELECT fovea_make_usage_partitions($1)', [partitionsAhead]);
  }

  /**
   * Ends expired holds and forgets expired answers every second, until `close`. Any number of processes may, and each that runs jobs
   * does: a queue would leave it undone for hours where whoever was at it was killed.
   */
  startSweeping(): void {
    this.#sweeping = repeat('Sweeping expired holds', sweepEveryMs, () => this.sweep(), this.#logger);
  }

  /** Ends expired holds and forgets expired answers. */
  async sweep(): Promise<void> {
    // In batches: a long transaction would keep the counters it holds from those who serve.
    for (const statement of [
      'SELECT fovea_sweep_holds($1) AS swept',
      'SELECT fovea_sweep_answers($1) AS swept',
    ]) {
      let swept: number;
      do {
        const { rows } = await this.#pool.query<{ swept: number }>(statement, [sweepAtOnce]);
        swept = rows[0]?.swept ?? 0;
      } while (swept === sweepAtOnce);
    }
  }

  /** Answers everyone who waits, refuses who comes later, and stops sweeping. */
  async close(): Promise<void> {
    await Promise.all([
      this.#reservations.close(),
      this.#commits.close(),
      this.#releases.close(),
      this.#sweeping?.stop(),
    ]);
  }
}
