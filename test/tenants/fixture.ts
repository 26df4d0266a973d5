import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { crc32 } from 'node:zlib';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { changedChannel } from '../../src/db/changed-cache.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { type Notifications, openNotifications } from '../../src/db/notifications.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { insertKey } from '../../src/tenants/api-keys.ts';
import { parseApiKey } from '../../src/tenants/key-format.ts';
import { insertOwner, newOwner } from '../../src/tenants/owner.ts';
import { Passwords } from '../../src/tenants/passwords.ts';
import { grantable } from '../../src/tenants/permissions.ts';
import { MemoryRateLimiter, type RateLimiter } from '../../src/tenants/rate-limiter.ts';
import { createTenancy, type Tenancy } from '../../src/tenants/tenancy.ts';
import { type Principal, SCOPES, type Scope } from '../../src/tenants/types.ts';
import { createTestDatabase } from '../support/database.ts';
import { databaseUrl } from '../support/postgres.ts';

/** Time that passes when a test says so, from the real present on. */
export class ManualClock implements Clock {
  #elapsed = 0;
  readonly #start = Date.now();

  now(): number {
    return this.#start + this.#elapsed;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  advance(ms: number): void {
    this.#elapsed += ms;
  }
}

/** What one process of an installation has: its own connections, its own memory of credentials. */
export interface Process extends Tenancy {
  readonly database: Database;
  readonly notifications: Notifications;
  readonly rateLimiter: RateLimiter;
  stop(): Promise<void>;
}

export interface Installation extends Process {
  readonly url: string;
  readonly clock: ManualClock;
  /** Sees and writes every tenant's rows: for looking at what stands there, and for what nobody may do through Fovea. */
  readonly superuser: pg.Pool;
  startProcess(): Promise<Process>;
}

/** A database of its own with one process on it. */
export async function openInstallation(): Promise<Installation> {
  const { url, drop } = await createTestDatabase();
  const clock = new ManualClock();
  const superuser = new pg.Pool({
    connectionString: databaseUrl(inject('postgres').adminUrl, new URL(url).pathname.slice(1)),
    max: 2,
  });
  superuser.on('error', () => {});
  const first = await startProcess(url, clock);
  return {
    ...first,
    url,
    clock,
    superuser,
    startProcess: () => startProcess(url, clock),
    async stop() {
      await first.stop();
      await superuser.end();
      await drop();
    },
  };
}

async function startProcess(url: string, clock: Clock): Promise<Process> {
  const logger = createLogger('silent');
  const database = openDatabase(url, { poolSize: 4 });
  const notifications = await openNotifications(url, logger);
  const rateLimiter = new MemoryRateLimiter(clock);
  const tenancy = createTenancy({ database, notifications, logger, clock, rateLimiter });
  return {
    ...tenancy,
    database,
    notifications,
    rateLimiter,
    async stop() {
      await tenancy.close();
      await notifications.close();
      await database.close();
    },
  };
}

export const password = 'correct horse battery';

/** Every scope that a tenant other than the operator's can hold. */
const tenantScopes = grantable(SCOPES, false);

/** A tenant nobody else uses, its owner, and a key. */
export async function freshTenant(
  { database, tenants, apiKeys, authenticator }: Process,
  { plan = 'Pro', scopes = tenantScopes }: { plan?: string; scopes?: readonly Scope[] } = {},
) {
  const name = `tenant ${randomBytes(6).toString('hex')}`;
  const email = `${randomBytes(6).toString('hex')}@example.com`;
  const { tenant } = await tenants.create({ name, plan });
  const owner = await newOwner(new Passwords(), email, password);
  await database.asTenant(tenant.id, (tx) => insertOwner(tx, tenant.id, owner));
  const { apiKey, secret } = await apiKeys.createForTenant(tenant.id, { name: 'first', scopes });
  const principal = (await authenticator.authenticate(`Bearer ${secret}`, '192.0.2.1')) as Principal;
  return { tenant, email, apiKey, secret, principal };
}

/** Makes the key that `text` is, as the first boot does. */
export async function makeKey({ database }: Process, tenantId: string, text: string): Promise<void> {
  const parts = parseApiKey(text)!;
  await database.asTenant(tenantId, (tx) =>
    insertKey(tx, tenantId, { name: 'given', scopes: ['INFER'] }, parts, null),
  );
}

/** The same short id and a valid checksum, but a secret that somebody made up. */
export function withOtherSecret(key: string): string {
  const body = key.slice(0, 13) + 'x'.repeat(43);
  return body + crc32(body).toString(16).padStart(8, '0');
}

/** Waits until `process` has heard of every change that was committed before. */
export async function heardAll({ notifications }: Process): Promise<void> {
  const marker = randomBytes(6).toString('hex');
  const heard = new Promise<void>((resolve) => {
    notifications.subscribe(changedChannel, (change) => {
      if (change === marker) resolve();
    });
  });
  await notifications.publish(changedChannel, marker);
  await heard;
}

/** Waits until `condition` answers true: for what another process learns by notification. */
export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  let waiting = true;
  onTestFinished(() => {
    waiting = false;
  });
  while (waiting && !(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** What `promise` was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!('error' in outcome)) throw new Error(`expected a rejection, got ${inspect(outcome.value)}`);
  if (!(outcome.error instanceof Error)) throw new Error('rejected with something that is no Error');
  return outcome.error;
}
