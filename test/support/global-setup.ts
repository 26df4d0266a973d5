import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../src/db/embedded.ts';
import { migrate } from '../../src/db/migrate.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { openServer } from './open-server.ts';
import { administer, databaseUrl, type Installed, type TestPostgres } from './postgres.ts';

type Server = Omit<TestPostgres, 'template'>;

/**
 * Starts a PostgreSQL for the run; FOVEA_TEST_POSTGRES names one to use instead, by an administrator's connection string.
 * FOVEA_TEST_DURABLE=1 keeps the embedded one's fsync on.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  speedUpStarts();
  const own = process.env.FOVEA_TEST_POSTGRES;
  const { stop, ...server } = own
    ? { adminUrl: own, ownerUrl: own, stop: async () => {} }
    : await startPostgres();
  const template = `fovea_template_${process.pid}`;
  await createDatabase(server, template);
  await migrate(databaseUrl(server.ownerUrl, template));
  const installed = await install(server, template);
  project.provide('postgres', { ...server, template });
  project.provide('installed', installed);
  project.provide('firstStart', temporaryFolder('fovea-test-first-start-'));
  return async () => {
    for (const each of [template, installed.template])
      await administer(server.adminUrl, `DROP DATABASE ${each} WITH (FORCE)`);
    await stop();
  };
}

/** Most of the time of a run goes into starting processes: they share what Node makes of the sources. */
function speedUpStarts(): void {
  const root = resolve(import.meta.dirname, '../..');
  const stripped = temporaryFolder('fovea-test-stripped-');
  for (const path of globSync('{src,test,bench,models}/**/*.ts', { cwd: root })) {
    mkdirSync(join(stripped, dirname(path)), { recursive: true });
    writeFileSync(join(stripped, path), stripTypeScriptTypes(readFileSync(join(root, path), 'utf8')));
  }
  const hook = new URL('stripped-sources.js', import.meta.url);
  hook.searchParams.set('stripped', stripped);
  hook.searchParams.set('compiled', temporaryFolder('fovea-test-compiled-'));
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --import ${hook.href}`;
}

async function install(server: Server, migrated: string): Promise<Installed> {
  const template = `fovea_installed_${process.pid}`;
  await createDatabase(server, template, migrated);
  const dataDir = temporaryFolder('fovea-test-installed-');
  const { created, close } = await openServer({
    databaseUrl: databaseUrl(server.ownerUrl, template),
    dataDir,
  });
  await close(); // Whoever were still connected would keep it from being cloned.
  return { template, dataDir, operatorKey: created!.apiKey };
}

const temporaryFolders: string[] = [];
process.once('exit', () => {
  for (const folder of temporaryFolders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});

/** Gone when the run ends; PostgreSQL's user may pass through it where the tests run as root. */
function temporaryFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(folder, 0o711);
  temporaryFolders.push(folder);
  return folder;
}

function createDatabase({ adminUrl, ownerUrl }: Server, name: string, template = 'template1'): Promise<void> {
  const owner = new URL(ownerUrl).username;
  return administer(adminUrl, `CREATE DATABASE ${name} TEMPLATE ${template} OWNER ${owner}`);
}

async function startPostgres(): Promise<Server & { stop: () => Promise<void> }> {
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
