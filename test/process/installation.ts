import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { inject, onTestFinished, vi } from 'vitest';
import { GraphqlClient } from '../support/graphql-client.ts';

const root = resolve(import.meta.dirname, '../..');
const fovea = [process.execPath, '--disable-warning=ExperimentalWarning', join(root, 'src/main.ts')];

declare module 'vitest' {
  export interface ProvidedContext {
    /** A folder for the installation that `installed` copies. */
    firstStart: string;
  }
}

// A start takes two seconds on an idle machine and many on a busy one: what is tested is not how fast it is.
vi.setConfig({ testTimeout: 120_000 });
export const patience = { timeout: 60_000, interval: 20 };

export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child process of the test, the first of a process group as a shell's job is. */
export interface Job {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has written so far. */
  output(): Omit<Ended, 'code'>;
}

export interface RunningServer extends Job {
  readonly url: string;
  /** The key that its first start printed; null where that was another one of a test's. */
  readonly key: string | null;
}

export interface Installation {
  readonly dataDir: string;
  /** Of the tenant that its first start has created; null: it has not started before. */
  readonly key: string | null;
  /** Runs `fovea …` as an operator does. */
  run(...args: string[]): Job;
  /** As `run`, with settings of its own. */
  runWith(environment: Record<string, string>, ...args: string[]): Job;
  npmStart(environment?: Record<string, string>): Job;
  /** Starts a server and waits until it is ready. */
  start(environment?: Record<string, string>): Promise<RunningServer>;
  /** Of the embedded database that runs, for another process. */
  databaseUrl(): string;
  /** The embedded database that runs, every tenant's rows in sight; ends with the test. */
  superuser(): pg.Pool;
}

/**
 * A data directory of its own, removed after the test with every process that still uses it; or whenever what `atEnd` was
 * given is called, the last first.
 */
export function installation(atEnd: AtEnd = onTestFinished): Installation {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-process-'));
  chmodSync(folder, 0o711); // For the user that PostgreSQL runs as where the tests run as root.
  return installationIn(folder, null, atEnd);
}

/** As `installation`, but it has started before: a first start takes seconds, and most tests are about later ones. */
export async function installed(atEnd: AtEnd = onTestFinished): Promise<Installation> {
  const first = inject('firstStart');
  const key = await firstKey(first);
  const folder = mkdtempSync(join(tmpdir(), 'fovea-process-'));
  chmodSync(folder, 0o711);
  execFileSync('cp', ['-a', join(first, 'data'), folder]); // With their owners, as Node copies no file.
  return installationIn(folder, key, atEnd);
}

/** Of the installation in `folder`, which whoever comes first of all test files makes. */
async function firstKey(folder: string): Promise<string> {
  const file = join(folder, 'key');
  try {
    mkdirSync(join(folder, 'making'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await vi.waitUntil(() => existsSync(file), patience);
    return readFileSync(file, 'utf8');
  }
  const ends: (() => void | Promise<void>)[] = [];
  const place = installationIn(folder, null, (end) => ends.push(end));
  try {
    const { child, ended, key } = await place.start();
    child.kill('SIGTERM');
    await ended;
    writeFileSync(join(folder, 'writing'), key!);
    renameSync(join(folder, 'writing'), file);
    return key!;
  } catch (error) {
    for (const end of ends.toReversed()) await end();
    rmSync(join(folder, 'making'), { recursive: true, force: true }); // For whoever comes next.
    throw error;
  }
}

type AtEnd = (clean: () => void | Promise<void>) => void;

/** `key`: of the tenant that its first start, which was before, has created. */
function installationIn(folder: string, key: string | null, atEnd: AtEnd): Installation {
  const dataDir = join(folder, 'data');
  atEnd(async () => {
    for (const { pid } of processesOf(dataDir)) kill(pid, 'SIGKILL');
    await vi.waitUntil(() => processesOf(dataDir).length === 0, patience);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });

  const launch = (command: readonly string[], environment: Record<string, string>): Job => {
    // Without a cache: the load is one picture again and again, and is to reach the worker.
    // And with one worker, which a test can single out.
    const settings = { FOVEA_DATA_DIR: dataDir, PORT: '0', FOVEA_CACHE_BYTES: '0', ...oneWorker };
    const job = spawnJob(command, { ...settings, ...environment });
    atEnd(() => {
      job.child.kill('SIGKILL');
    });
    return job;
  };
  const runWith = (environment: Record<string, string>, ...args: string[]) =>
    launch([...fovea, ...args], environment);

  const urlAs = (login: string, passwordOf: (passwords: Record<string, string>) => string | undefined) => {
    const password = passwordOf(JSON.parse(readFileSync(join(dataDir, 'postgres.json'), 'utf8')));
    const port = readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[3];
    return `postgresql://${login}:${password}@127.0.0.1:${port}/fovea`;
  };

  return {
    dataDir,
    key,
    runWith,
    run: (...args) => runWith({}, ...args),
    npmStart: (environment = {}) => launch(['npm', 'start'], environment),
    async start(environment = {}) {
      const server = await ready(runWith(environment, 'start'));
      return { ...server, key: server.key ?? key };
    },
    databaseUrl: () => urlAs('fovea', ({ password }) => password),
    superuser() {
      const connectionString = urlAs('postgres', ({ superuserPassword }) => superuserPassword);
      const pool = new pg.Pool({ connectionString });
      pool.on('error', () => {}); // The server may be killed under it.
      atEnd(() => pool.end());
      return pool;
    },
  };
}

/** Waits for the line that says so. */
export async function ready(job: Job): Promise<RunningServer> {
  let hasEnded = false;
  void job.ended.then(() => {
    hasEnded = true;
  });
  const url = await vi.waitUntil(() => {
    if (hasEnded) throw new Error(`it ended before it was ready: ${JSON.stringify(job.output())}`);
    return /^fovea ready (http:\S+)$/m.exec(job.output().stdout)?.[1];
  }, patience);
  const key = /^API key (\S+)$/m.exec(job.output().stdout)?.[1] ?? null;
  return { ...job, url, key };
}

export function clientOf({ url, key }: RunningServer): GraphqlClient {
  return new GraphqlClient(url, key);
}

function spawnJob([program, ...args]: readonly string[], environment: Record<string, string>): Job {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(FOVEA_|npm_)/.test(name) && !['DATABASE_URL', 'PORT', 'NODE_ENV'].includes(name),
  );
  const child = spawn(program!, args, {
    cwd: root,
    detached: true,
    env: { ...Object.fromEntries(inherited), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      written[stream] += chunk;
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const end = () => resolve({ code: signal ?? code, ...written });
      child.once('close', end);
      setTimeout(end, 1_000); // A child that outlives it may hold its output open.
    });
  });
  return { child, ended, output: () => ({ ...written }) };
}

export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

/** Every process that has the data directory in its command line or its environment. Linux; elsewhere none is found. */
export function processesOf(dataDir: string): FoundProcess[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), command: readProcess(name, 'cmdline') }))
    .filter(
      ({ pid, command }) =>
        command.includes(`${dataDir}/`) ||
        readProcess(pid, 'environ').includes(`FOVEA_DATA_DIR=${dataDir}\0`),
    );
}

/** Empty for one that has just ended, a zombie, or another user's. */
function readProcess(pid: number | string, file: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

const commandLines = {
  server: /main\.ts\0start\0$/,
  worker: /main\.ts\0worker\0/,
};

const oneWorker = { FOVEA_WORKERS_PER_DEVICE: '1' };

/** The one process of an installation that does this. */
export function pidOf(what: keyof typeof commandLines | 'postgres', { dataDir }: Installation): number {
  // By its command line it cannot be told from a child that it has just forked.
  if (what === 'postgres')
    return Number(readFileSync(join(dataDir, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]);
  const found = pidsOf(what, { dataDir });
  if (found.length !== 1) throw new Error(`a ${what} is wanted, found ${JSON.stringify(found)}`);
  return found[0]!;
}

export function pidsOf(
  what: keyof typeof commandLines,
  { dataDir }: Pick<Installation, 'dataDir'>,
): number[] {
  return processesOf(dataDir)
    .filter(({ command }) => commandLines[what].test(command))
    .map(({ pid }) => pid);
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // It has just ended.
  }
}
