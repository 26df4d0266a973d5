import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { administer, databaseUrl } from './postgres.ts';

export interface TestDatabase {
  /** Connection string, as the login that owns the database. */
  readonly url: string;
  /** Drops the database, whoever is still connected. */
  drop(): Promise<void>;
}

/** A migrated database of its own for a test file: a clone of the run's template, some 50 ms. */
export function createTestDatabase(): Promise<TestDatabase> {
  return cloneOf(inject('postgres').template);
}

/** As `createTestDatabase`, of an installation that has started before. */
export function cloneInstalledDatabase(): Promise<TestDatabase> {
  return cloneOf(inject('installed').template);
}

/** A database without any table, for what is tested about migrating. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return cloneOf('template0');
}

async function cloneOf(template: string): Promise<TestDatabase> {
  const { adminUrl, ownerUrl } = inject('postgres');
  const name = `fovea_test_${randomBytes(6).toString('hex')}`;
  await administer(
    adminUrl,
    `CREATE DATABASE ${name} TEMPLATE ${template} OWNER ${new URL(ownerUrl).username}`,
  );
  return {
    url: databaseUrl(ownerUrl, name),
    drop: () => administer(adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}
