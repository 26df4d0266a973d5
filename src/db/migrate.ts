import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { OperatorError } from '../lib/errors.ts';

const migrationsFolder = fileURLToPath(new URL('../../prisma/migrations/', import.meta.url));

/** The lock that Prisma's own tool takes: whichever of the two an operator runs, they wait for each other. */
const prismaLock = 72_707_369;
/** PostgreSQL 15 brought NULLS NOT DISTINCT, on which unique keys with an absent tenant rely. */
const oldestVersion = 150_000;
/** What the serving login takes, one a connection pool; migrations make them. */
const servingRoles = ['fovea_app', 'fovea_ledger', 'fovea_jobs'];

export interface MigrateOptions {
  /** The login that serves, where it is not the one that migrates: it is granted the serving roles. */
  appLogin?: string;
  /** Holds one folder a migration, `<timestamp>_<name>/migration.sql`. */
  folder?: string;
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

/**
 * Applies the migrations that the database at `url` lacks, in the order of their names, and answers those names. Each one
 * is a transaction with its row in `_prisma_migrations`, laid out as Prisma's own tool lays it out: all of it stands, or
 * nothing. Concurrent callers wait for each other. Throws an OperatorError where the database cannot be used, or its past
 * is not the one on disk.
 */
export async function migrate(url: string, options: MigrateOptions = {}): Promise<string[]> {
  const migrations = await readMigrations(options.folder ?? migrationsFolder);
  const client = await connect(url);
  try {
    await refuseOldServer(client);
    // Held by the session, since every migration has a transaction of its own; it goes with the connection.
    await client.query('SELECT pg_advisory_lock($1)', [prismaLock]);
    const applied = await readApplied(client);
    refuseDrift(migrations, applied);
    const pending = migrations.filter(({ name }) => !applied.has(name));
    for (const migration of pending) await apply(client, migration);
    await grantServingRoles(client, options.appLogin);
    await ensureQueueSchema(client);
    return pending.map(({ name }) => name);
  } finally {
    await client.end();
  }
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'fovea migrate',
    connectionTimeoutMillis: 10_000,
  });
  // A connection that breaks fails the query in flight; without a listener it would end the process as well.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new OperatorError(
      `PostgreSQL at ${client.host}:${client.port} (database '${client.database}', user '${client.user}') cannot be used: ` +
        `${message || code}. Check the connection string and that the server runs.`,
    );
  }
  return client;
}

async function refuseOldServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: number; text: string }>(
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text`,
  );
  const version = rows[0]!;
  if (version.number < oldestVersion) {
    throw new OperatorError(`The database server is PostgreSQL ${version.text}: Fovea needs 15 or newer.`);
  }
}

/** Checksums by migration name. */
async function readApplied(client: pg.Client): Promise<Map<string, string>> {
  await client.query(`CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id                  varchar(36) PRIMARY KEY,
    checksum            varchar(64) NOT NULL,
    finished_at         timestamptz,
    migration_name      varchar(255) NOT NULL,
    logs                text,
    rolled_back_at      timestamptz,
    started_at          timestamptz NOT NULL DEFAULT now(),
    applied_steps_count integer NOT NULL DEFAULT 0
  )`);
  const { rows } = await client.query<{ name: string; checksum: string; finished: boolean }>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished
       FROM _prisma_migrations WHERE rolled_back_at IS NULL`,
  );
  const unfinished = rows.find(({ finished }) => !finished);
  if (unfinished) {
    throw new OperatorError(
      `Migration ${unfinished.name} was begun by another tool and never finished: resolve it there ` +
        `('prisma migrate resolve'), then start again.`,
    );
  }
  return new Map(rows.map(({ name, checksum }) => [name, checksum]));
}

function refuseDrift(migrations: Migration[], applied: Map<string, string>): void {
  const onDisk = new Map(migrations.map(({ name, checksum }) => [name, checksum]));
  for (const [name, checksum] of applied) {
    if (!onDisk.has(name)) {
      throw new OperatorError(
        `The database has migration ${name}, which this version of Fovea does not know: it was made by a newer one. ` +
          'Run that version, or restore a backup from before it.',
      );
    }
    if (onDisk.get(name) !== checksum) {
      throw new OperatorError(
        `Migration ${name} was changed after it had been applied: restore its file, and put the change in a new migration.`,
      );
    }
  }
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), checksum, name],
    );
    await client.query('COMMIT');
  } catch (error) {
    // A connection that broke has rolled back by itself: what is worth telling is the first error.
    await client.query('ROLLBACK').catch(() => {});
    const { message, position } = error as pg.DatabaseError;
    const line = position ? ` at line ${sql.slice(0, Number(position)).split('\n').length}` : '';
    throw new OperatorError(`Migration ${name} failed${line} and was rolled back: ${message}`);
  }
}

/**
 * Lets a login take the serving roles: `appLogin`, or the one that migrates. From PostgreSQL 16 on, whoever creates a role may
 * grant it but is no member of it, so the login that migrates grants itself too.
 */
async function grantServingRoles(client: pg.Client, appLogin: string | undefined): Promise<void> {
  const { rows } = await client.query<{ login: string }>(
    'SELECT rolname AS login FROM pg_roles WHERE rolname = coalesce($1, current_user)',
    [appLogin],
  );
  const login = rows[0]?.login;
  if (login === undefined)
    throw new OperatorError(`The login '${appLogin}' does not exist in this database server.`);
  for (const role of await rolesOutOfReach(client, login)) {
    try {
      await client.query(`GRANT ${pg.escapeIdentifier(role)} TO ${pg.escapeIdentifier(login)}`);
    } catch (error) {
      // Roles belong to the whole cluster, the lock to one database: a neighbour may have granted it at the same moment.
      if (!(await rolesOutOfReach(client, login)).includes(role)) continue;
      throw new OperatorError(
        `The login '${login}' cannot be given the role ${role}: ${(error as Error).message}. ` +
          `Let an administrator run: GRANT ${servingRoles.join(', ')} TO ${pg.escapeIdentifier(login)};`,
      );
    }
  }
}

/**
 * The schema of the queue, which is its role's own: graphile-worker makes what is in it, but does not look for a schema where it
 * finds no table of migrations, and may not make one.
 */
async function ensureQueueSchema(client: pg.Client): Promise<void> {
  // The catalogue alone says so to a login that may become the role, but has not its rights by itself.
  const { rows } = await client.query(
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'graphile_worker' AND c.relname = 'migrations'`,
  );
  if (rows.length > 0) return;
  // To make it another's the login must be able to be that other, also where it is not the one that serves.
  await grantServingRoles(client, undefined);
  try {
    await client.query(`
      BEGIN;
      CREATE SCHEMA IF NOT EXISTS graphile_worker AUTHORIZATION fovea_jobs;
      SET LOCAL ROLE fovea_jobs;
      CREATE TABLE graphile_worker.migrations (
        id int PRIMARY KEY, ts timestamptz NOT NULL DEFAULT now(), breaking boolean NOT NULL DEFAULT false);
      COMMIT`);
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw new OperatorError(
      `The schema of the queue cannot be made: ${(error as Error).message}. Let an administrator run in this database: ` +
        'CREATE SCHEMA graphile_worker AUTHORIZATION fovea_jobs;',
    );
  }
}

async function rolesOutOfReach(client: pg.Client, login: string): Promise<string[]> {
  const { rows } = await client.query<{ role: string }>(
    `SELECT rolname AS role FROM pg_roles
      WHERE rolname = ANY ($2)
        AND NOT pg_has_role($1::name, oid, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)
      ORDER BY rolname`,
    [login, servingRoles],
  );
  return rows.map(({ role }) => role);
}
