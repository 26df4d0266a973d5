import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/db/embedded.ts';
import { migrate } from '../../src/db/migrate.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { openServer } from './open-server.ts';

/** The PostgreSQL of a test run, with one migrated database that `createTestDatabase` clones. */
export interface TestServer {
  /** Connection strings: a login that may create databases, and the one that owns them. */
  readonly adminUrl: string;
  readonly ownerUrl: string;
  readonly template: string;
  /** What a first start leaves behind, so that not every test's server has to be a first one: what `startServer` clones. */
  readonly installed: Installed;
}

interface Installed {
  readonly template: string;
  readonly dataDir: string;
  /** Of the operator's key, with every scope. */
  readonly operatorKey: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    testServer: TestServer;
  }
}

/**
 * Starts a server for the run; FOVEA_TEST_POSTGRES names one to use instead, by an administrator's connection string.
 * FOVEA_TEST_DURABLE=1 keeps the embedded one's fsync on.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const own = process.env.FOVEA_TEST_POSTGRES;
  const server = own ? { adminUrl: own, ownerUrl: own, stop: async () => {} } : await startServer();
  const template = `fovea_template_${process.pid}`;
  await administer(server.adminUrl, `CREATE DATABASE ${template} OWNER ${new URL(server.ownerUrl).username}`);
  await migrate(databaseUrl(server.ownerUrl, template));
  const installed = await install(server, template);
  project.provide('testServer', {
    adminUrl: server.adminUrl,
    ownerUrl: server.ownerUrl,
    template,
    installed,
  });
  return async () => {
    for (const each of [template, installed.template])
      await administer(server.adminUrl, `DROP DATABASE ${each} WITH (FORCE)`);
    rmSync(installed.dataDir, { recursive: true, force: true });
    await server.stop();
  };
}

async function install(
  { adminUrl, ownerUrl }: Pick<TestServer, 'adminUrl' | 'ownerUrl'>,
  migrated: string,
): Promise<Installed> {
  const template = `fovea_installed_${process.pid}`;
  await administer(
    adminUrl,
    `CREATE DATABASE ${template} TEMPLATE ${migrated} OWNER ${new URL(ownerUrl).username}`,
  );
  const dataDir = mkdtempSync(join(tmpdir(), 'fovea-test-installed-'));
  const { created, close } = await openServer({ databaseUrl: databaseUrl(ownerUrl, template), dataDir });
  await close();
  return { template, dataDir, operatorKey: created!.apiKey };
}

async function startServer(): Promise<{ adminUrl: string; ownerUrl: string; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-test-'));
  chmodSync(folder, 0o711); // For the user that PostgreSQL runs as where the tests run as root.
  const dataDir = join(folder, 'data');
  const durable = process.env.FOVEA_TEST_DURABLE === '1';
  const unsafeSettings = { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' };
  const settings = { max_connections: '200', ...(durable ? {} : unsafeSettings) };
  const postgres = await startEmbeddedPostgres(dataDir, createLogger('warn'), { settings });

  // However the run ends, short of SIGKILL, its server ends with it and leaves nothing behind.
  const { superuserPassword, home } = JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8'));
  process.once('exit', () => {
    postgres.killNow();
    for (const path of [folder, home])
      if (path) rmSync(path, { recursive: true, force: true, maxRetries: 10 });
  });
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

  const adminUrl = new URL(postgres.url);
  adminUrl.username = 'postgres';
  adminUrl.password = superuserPassword;
  return { adminUrl: databaseUrl(adminUrl.href, 'postgres'), ownerUrl: postgres.url, stop: postgres.stop };
}

export function databaseUrl(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

export async function administer(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
