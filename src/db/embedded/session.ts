import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { OperatorError } from '../../lib/errors.ts';
import { findBinaries } from './binaries.ts';
import { ensureCluster } from './cluster.ts';
import type { Layout } from './layout.ts';
import { findPostmaster, logTail, spawnPostmaster, stopPostmaster } from './postmaster.ts';

/**
 * Who uses the embedded server, told by advisory locks, which vanish with a process however it dies. Every user shares
 * `use`; whoever gets it alone on leaving was the last, and stops the server while it holds it, so that nobody can enter
 * meanwhile. The one server of a data directory holds `serve` as well.
 */
const lockClass = 0x464f_5645;
const lock = { use: 1, serve: 2 } as const;

export interface SessionOptions {
  readonly as: 'server' | 'command';
  /** The port that must serve, where its address is already in use by others; null: any free one. */
  readonly port: number | null;
  readonly settings: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** A connection that does nothing but hold its user's locks. */
export interface Session {
  readonly client: pg.Client;
  readonly port: number;
}

/** Recovery after a crash replays what was not yet in the tables' files: minutes at worst. */
const startsWithinMs = 300_000;
const startAttempts = 3;
const stopGraceMs = 5_000;

export function urlOf({ password }: Layout, port: number): string {
  return `postgresql://fovea:${password}@127.0.0.1:${port}/fovea`;
}

/**
 * Finds the server of `layout` or starts it, and enters. Throws an OperatorError where another Fovea server serves there, and
 * the signal's reason where that is aborted first: a server that was started meanwhile is stopped again.
 */
export async function enter(layout: Layout, options: SessionOptions): Promise<Session> {
  const deadline = Date.now() + startsWithinMs;
  let child: ChildProcess | null = null;
  let attempts = 0;
  while (Date.now() < deadline && !options.signal.aborted) {
    const running = findPostmaster(layout);
    if (running) {
      const session = await tryEnter(layout, running.port, options);
      if (session) return session;
    } else if (!child || hasEnded(child)) {
      // A start may fail because another process was faster (then that one's is found), or took the port.
      if (attempts === startAttempts)
        throw new OperatorError(`The embedded PostgreSQL does not start:\n${logTail(layout)}`);
      attempts += 1;
      const binaries = findBinaries(layout.home, layout.account);
      await ensureCluster(layout, binaries);
      if (options.signal.aborted) break;
      child = await spawnPostmaster(layout, binaries, options.port, options.settings);
    }
    await sleep(20);
  }
  if (options.signal.aborted) {
    await end(child);
    throw options.signal.reason;
  }
  throw new OperatorError(`The embedded PostgreSQL accepts no connection:\n${logTail(layout)}`);
}

/** Nobody has entered it yet, and it may not have written down its pid: this process' own child is stopped as such. */
async function end(child: ChildProcess | null): Promise<void> {
  child?.kill('SIGINT');
  while (child && !hasEnded(child)) await sleep(20);
}

/** Gives the locks back, and stops the server when nobody else uses it. */
export async function leave(layout: Layout, { client }: Session): Promise<void> {
  let last: boolean;
  try {
    await client.query('SELECT pg_advisory_unlock_all()');
    last = await take(client, 'pg_try_advisory_lock', lock.use);
  } catch {
    last = true; // The server crashed or hangs: whoever else used it has lost it as well.
  }
  if (last) await stopPostmaster(layout, stopGraceMs);
  await client.end().catch(() => {}); // It has broken with the server: there is nothing left to end.
}

/** Answers null while the server starts, stops or recovers. */
async function tryEnter(layout: Layout, port: number, options: SessionOptions): Promise<Session | null> {
  if (options.port !== null && port !== 0 && port !== options.port) {
    throw new Error(
      `another process has started the embedded PostgreSQL on port ${port} instead of ${options.port}`,
    );
  }
  const client = await connect(layout, port, options);
  if (!client) return null;
  try {
    if (await take(client, 'pg_try_advisory_lock_shared', lock.use)) {
      const session = { client, port };
      if (options.as === 'server') await claim(layout, session);
      return session;
    }
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    // The server ended between two words: it is found again, or started.
  }
  void client.end().catch(() => {}); // Of a server that no longer answers, nobody should wait for the farewell.
  return null;
}

async function connect(layout: Layout, port: number, { as }: SessionOptions): Promise<pg.Client | null> {
  const client = new pg.Client({
    connectionString: urlOf(layout, port),
    application_name: `fovea ${as} ${process.pid}`,
    connectionTimeoutMillis: 5_000,
    query_timeout: 10_000,
  });
  // What matters is its end, which `end` announces; without a listener an error would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    const { code, message } = error as pg.DatabaseError;
    const refusedForGood = code === '28P01' || code === '3D000';
    if (refusedForGood) {
      throw new OperatorError(
        `The embedded PostgreSQL does not accept what ${layout.dataDir}/postgres.json holds: ${message}.`,
      );
    }
    return null;
  }
}

async function claim(layout: Layout, session: Session): Promise<void> {
  // The locks of a server that was killed a moment ago go when PostgreSQL notices that its connection closed.
  for (let attempt = 0; attempt < 20; attempt++) {
    if (await take(session.client, 'pg_try_advisory_lock', lock.serve)) return;
    await sleep(50);
  }
  const { rows } = await session.client.query<{ holder: string }>(
    `SELECT application_name AS holder FROM pg_locks JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND objsubid = 2 AND granted`,
    [lockClass, lock.serve],
  );
  await leave(layout, session);
  const pid = rows[0]?.holder.split(' ').at(-1) ?? 'unknown';
  throw new OperatorError(
    `The data directory ${layout.dataDir} is in use by another Fovea server (pid ${pid}): ` +
      'stop that one, or set FOVEA_DATA_DIR to another directory.',
  );
}

async function take(
  client: pg.Client,
  attempt: 'pg_try_advisory_lock' | 'pg_try_advisory_lock_shared',
  key: number,
): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>(`SELECT ${attempt}($1::int, $2::int) AS taken`, [
    lockClass,
    key,
  ]);
  return rows[0]!.taken;
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}
