import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, fchownSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binaries } from './binaries.ts';
import { serverEnvironment } from './cluster.ts';
import type { Layout } from './layout.ts';

/** PostgreSQL's first process: its death ends the server, signals to it say how. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
}

/** The server's own settings; durability is PostgreSQL's default (fsync on). */
const settings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '64MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
  log_checkpoints: 'off',
  // Statements and the values that a constraint refused may be someone's data: the log does not repeat them.
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
};

const logRotatesAt = 16 * 2 ** 20;

/** Answers the server that runs on the cluster, whoever started it and whatever state it is in; null where none does. */
export function findPostmaster({ cluster }: Layout): Postmaster | null {
  let lines: string[];
  try {
    lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  // While the server starts the file grows: until it names a port, port 0 refuses connections just as the server does.
  const pid = Number(lines[0]);
  return commandLine(pid).includes(cluster) ? { pid, port: Number(lines[3] ?? 0) } : null;
}

/** Starts a server in a process group of its own, so that Ctrl-C in a terminal reaches Fovea alone, which stops it in order. */
export async function spawnPostmaster(
  layout: Layout,
  binaries: Binaries,
  port: number | null,
  overrides: Readonly<Record<string, string>>,
): Promise<ChildProcess> {
  releaseReusedPid(layout);
  const options = Object.entries({ ...settings, ...overrides }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const log = openLog(layout);
  try {
    const child = spawn(
      binaries.postgres,
      ['-D', layout.cluster, '-p', String(port ?? (await freePort())), ...options],
      {
        ...layout.account,
        cwd: '/',
        env: serverEnvironment,
        detached: true,
        stdio: ['ignore', log, log],
      },
    );
    // A program that cannot be spawned ends as one that exits at once: both are seen in `exitCode` and the log.
    child.on('error', () => {});
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/**
 * Fast shutdown: transactions roll back, connections end, what is committed is on disk. What has not ended after `graceMs`
 * is ended harder, and recovers at its next start.
 */
export async function stopPostmaster(layout: Layout, graceMs: number): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    signalPostmaster(layout, signal);
    if (await isGone(layout, graceMs)) return;
  }
}

/** SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one; either counts for the whole server. */
export function signalPostmaster(layout: Layout, signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
  const running = findPostmaster(layout);
  if (!running) return;
  try {
    process.kill(running.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits for the server's end, `withinMs` at most, and answers whether it came. */
async function isGone(layout: Layout, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (findPostmaster(layout)) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

export function logTail({ log }: Layout): string {
  return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
}

/** The path of its cluster is on a postmaster's command line, and on no other process' that a reused pid may now name. */
function commandLine(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return ''; // No such process.
  }
}

/**
 * After a crash of the machine or its container, the pid in postmaster.pid may belong to some other process of ours, and
 * PostgreSQL would refuse to start. The file itself must stay: its last lines let PostgreSQL find out whether processes of
 * the old server still hold its shared memory. So it gets a pid that no process can have.
 */
function releaseReusedPid({ cluster }: Layout): void {
  const file = join(cluster, 'postmaster.pid');
  try {
    const [first, ...rest] = readFileSync(file, 'utf8').split('\n');
    const pid = Number(first);
    // An empty file is one that a starting server is about to fill; a dead process PostgreSQL recognises by itself.
    if (pid === 0 || !isAlive(pid) || commandLine(pid).includes(cluster)) return;
    writeFileSync(file, ['2147483646', ...rest].join('\n'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function openLog({ log, account }: Layout): number {
  const size = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  if (size > logRotatesAt) renameSync(log, `${log}.1`);
  const file = openSync(log, 'a', 0o600);
  // Like the cluster, so that root leaves nothing behind that an ordinary user's next start cannot write to.
  if (account) fchownSync(file, account.uid, account.gid);
  return file;
}

/** Free when asked; where another process takes it first, the server does not start and is started on another. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
