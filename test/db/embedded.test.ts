import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  connectEmbeddedPostgres,
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/db/embedded.ts';
import { migrate } from '../../src/db/migrate.ts';
import { OperatorError } from '../../src/lib/errors.ts';
import { createLogger } from '../../src/lib/logger.ts';

const logger = createLogger('silent');
let folder: string;
let dataDir: string;
let running: EmbeddedPostgres[];
let children: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fovea-embedded-'));
  chmodSync(folder, 0o711); // For the user that PostgreSQL runs as where the tests run as root.
  dataDir = join(folder, 'data');
  running = [];
  children = [];
});

afterEach(async () => {
  await Promise.all(running.map((postgres) => postgres.stop()));
  for (const child of children.filter(
    ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
  )) {
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await startEmbeddedPostgres(dataDir, logger)).stop(); // What it left running ends with whoever adopts it.
  }
  rmSync(folder, { recursive: true, force: true });
});

async function start(directory = dataDir): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres(directory, logger);
  running.push(postgres);
  return postgres;
}

async function command(): Promise<EmbeddedPostgres> {
  const postgres = await connectEmbeddedPostgres(dataDir, logger);
  running.push(postgres);
  return postgres;
}

/** Starts a server in a process of its own, the first of a process group as it is in a terminal. */
async function startElsewhere(): Promise<{ child: ChildProcess; url: string }> {
  const script = join(import.meta.dirname, 'embedded-server.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, dataDir], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  const output = once(child.stdout!, 'data').then(String);
  const refused = once(child, 'exit').then(([code]) => Promise.reject(new Error(`it ended with ${code}`)));
  return { child, url: (await Promise.race([output, refused])).trim() };
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const postmasterFile = () => join(dataDir, 'postgres', 'postmaster.pid');
const postmasterPid = () => Number(readFileSync(postmasterFile(), 'utf8').split('\n')[0]);

// Each test sets up a cluster of its own or several: a second on an idle machine, many on a busy one.
describe('the embedded PostgreSQL', { timeout: 120_000 }, () => {
  it('serves a database to a login that is no superuser, durably, and keeps it from one start to the next', async () => {
    const first = await start();
    const role = `SELECT current_user AS name, rolsuper AS super, current_setting('fsync') AS fsync
                    FROM pg_roles WHERE rolname = current_user`;
    expect(await query(first.url, role)).toEqual([{ name: 'fovea', super: false, fsync: 'on' }]);
    expect((await migrate(first.url)).length).toBeGreaterThan(0);
    await first.stop();
    expect(existsSync(postmasterFile())).toBe(false);
    await expect(query(first.url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);

    const second = await start();
    expect(await migrate(second.url)).toEqual([]);
  });

  it('lets in who knows its password, which its owner alone can read', async () => {
    const { url } = await start();
    expect(statSync(join(dataDir, 'postgres.json')).mode & 0o777).toBe(0o600);
    const guess = new URL(url);
    guess.password = 'guess';
    await expect(query(guess.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });

  it('is adopted from a server that was killed with its whole process group', async () => {
    const { child, url } = await startElsewhere();
    await query(url, 'CREATE TABLE kept ()');
    const pid = postmasterPid();
    process.kill(-child.pid!, 'SIGKILL');
    await once(child, 'exit');

    const adopted = await start();
    expect(adopted.url).toBe(url);
    expect(postmasterPid()).toBe(pid);
    expect(await query(url, 'SELECT * FROM kept')).toEqual([]);
    await adopted.stop();
    expect(existsSync(postmasterFile())).toBe(false);
  });

  it('is refused to a second server, which learns who holds it, and goes on serving the first', async () => {
    const { child, url } = await startElsewhere();
    const refused = startEmbeddedPostgres(dataDir, logger);
    await expect(refused).rejects.toThrow(OperatorError);
    await expect(refused).rejects.toThrow(`${dataDir} is in use by another Fovea server (pid ${child.pid})`);
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('is set up once by servers that start at the same moment, and given to one of them', async () => {
    const starts = await Promise.allSettled([startElsewhere(), startElsewhere(), startElsewhere()]);
    expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    // Where PostgreSQL's user cannot reach the install, the binaries are copied beside the cluster.
    const made = readdirSync(dataDir).filter((name) => !name.startsWith('postgres-binaries-'));
    expect(made.sort()).toEqual(['postgres', 'postgres.json', 'postgres.log']);
  });

  it('runs side by side with that of another data directory', async () => {
    const [one, other] = await Promise.all([start(), start(join(folder, 'other'))]);
    await query(one.url, 'CREATE TABLE here ()');
    await expect(query(other.url, 'SELECT * FROM here')).rejects.toThrow(/does not exist/);
  });

  it('is started by a command for its own duration', async () => {
    const alone = await command();
    expect(await query(alone.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await alone.stop();
    expect(existsSync(postmasterFile())).toBe(false);
  });

  it('is shared by a server and its commands, and stopped by the last of them', async () => {
    const first = await command();
    const server = await start();
    const second = await command();
    expect([first.url, second.url]).toEqual([server.url, server.url]);
    await first.stop();
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.stop();
    expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await second.stop();
    expect(existsSync(postmasterFile())).toBe(false);
  });

  it('comes back at the same address after it was killed', async () => {
    const lines: string[] = [];
    const listening = createLogger('info', { write: (line) => lines.push(line) });
    const postgres = await startEmbeddedPostgres(dataDir, listening);
    running.push(postgres);
    await query(postgres.url, 'CREATE TABLE kept ()');
    process.kill(postmasterPid(), 'SIGKILL');
    await vi.waitFor(() => expect(lines.join()).toContain('the embedded PostgreSQL is back'), {
      timeout: 20_000,
    });
    expect(await query(postgres.url, 'SELECT * FROM kept')).toEqual([]);
    await expect(startEmbeddedPostgres(dataDir, logger)).rejects.toThrow(/in use by another Fovea server/);
  });

  it('starts although the pid its last run left behind is that of another process now', async () => {
    await (await start()).stop();
    writeFileSync(
      postmasterFile(),
      `${process.pid}\n${join(dataDir, 'postgres')}\n1700000000\n5432\n\n127.0.0.1\n`,
    );
    const { url } = await start();
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('ends at once when told to, while it is being stopped', async () => {
    const postgres = await start();
    const pid = postmasterPid();
    const stopping = postgres.stop();
    postgres.killNow();
    await stopping;
    expect(existsSync(postmasterFile()) && postmasterPid() === pid).toBe(false);
  });
});
