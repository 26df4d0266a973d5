import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { v7 } from 'uuid';
import { inject } from 'vitest';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { type Booking, Ledger, type Reservation } from '../../src/metering/ledger.ts';
import { createTestDatabase } from '../support/database.ts';
import { databaseUrl } from '../support/postgres.ts';

/** A database of its own, with any number of ledgers on it, each with a pool of its own as in a process of its own. */
export interface LedgerFixture {
  readonly database: Database;
  readonly url: string;
  /** As the superuser, whom no policy holds. */
  readonly admin: pg.Pool;
  openLedger(url?: string): Ledger;
  newTenant(): Promise<string>;
  close(): Promise<void>;
}

export async function createLedgerFixture(): Promise<LedgerFixture> {
  const { url, drop } = await createTestDatabase();
  const database = openDatabase(url);
  const name = new URL(url).pathname.slice(1);
  const admin = new pg.Pool({ connectionString: databaseUrl(inject('postgres').adminUrl, name) });
  // Dropping the database ends connections that are still saying goodbye.
  admin.on('error', () => {});
  const opened: { ledger: Ledger; database: Database }[] = [];
  return {
    database,
    url,
    admin,
    openLedger(ledgerUrl = url) {
      const own = openDatabase(ledgerUrl);
      const ledger = new Ledger(own.ledger, createLogger('silent'));
      opened.push({ ledger, database: own });
      return ledger;
    },
    async newTenant() {
      const id = randomUUID();
      await admin.query(
        `INSERT INTO tenant (id, name, plan_id) SELECT $1, $2, id FROM plan WHERE name = 'Scale'`,
        [id, `tenant ${id}`],
      );
      return id;
    },
    async close() {
      for (const own of opened) {
        await own.ledger.close();
        await own.database.close();
      }
      await database.close();
      await admin.end();
      await drop();
    },
  };
}

/** Four units, no limit, half a minute. */
export function reservation(tenantId: string, fields: Partial<Reservation> = {}): Reservation {
  return {
    requestId: v7(),
    tenantId,
    units: 4,
    limit: null,
    hardLimit: false,
    ttlMs: 30_000,
    idempotency: null,
    ...fields,
  };
}

/** All of what `held` holds, answered in full. */
export function booking(held: Reservation, fields: Partial<Booking> = {}): Booking {
  return {
    requestId: held.requestId,
    tenantId: held.tenantId,
    apiKeyId: null,
    memberId: null,
    operation: 'CLASSIFY',
    model: 'squeezenet',
    version: 1,
    compression: 'NONE',
    images: 1,
    errors: 0,
    cachedImages: 0,
    units: held.units,
    latencyMs: 12.5,
    idempotency: null,
    ...fields,
  };
}
