import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/db/embedded.ts';
import { Lifetime } from '../../src/lib/lifetime.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { generateApiKey } from '../../src/tenants/key-format.ts';
import { FoveaWorker } from '../support/fovea-worker.ts';
import { keepablePort } from '../support/keepable-port.ts';
import { exited, firstLine } from '../support/processes.ts';
import type { CrashPoint, ReplacedModule } from './crash-points.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');
const hook = resolve(import.meta.dirname, 'crash-hook.ts');

/**
 * How a server's life ended: at the point it was to end at, where it was when its time was over, in order when it was asked to, or
 * of a fault of its own.
 */
export type Death = 'at its point' | 'anywhere' | 'in order' | 'by itself' | 'did not start';

export interface CrashStageOptions {
  readonly servers: number;
  /** What the servers run in the place of the modules themselves. */
  readonly modules?: readonly ReplacedModule[];
  /** What the folder needs beforehand, and how that is undone at the end, once nothing runs any more. */
  readonly prepare?: (folder: string) => () => void;
  /** Leads the servers to the database by another way. */
  readonly through?: (url: string) => Promise<string>;
  /** Settings of a server, by its number. */
  readonly environment?: (server: number) => Record<string, string>;
}

/** One installation with a database and a worker of its own, and several servers on it, each of which can be told where to die. */
export class CrashStage {
  readonly folder: string;
  readonly databaseUrl: string;
  readonly worker: FoveaWorker;
  readonly urls: readonly string[];
  readonly key = generateApiKey().text;
  readonly #environment: (server: number) => Record<string, string>;
  readonly #lifetime: Lifetime;

  private constructor(
    folder: string,
    databaseUrl: string,
    worker: FoveaWorker,
    urls: readonly string[],
    environment: (server: number) => Record<string, string>,
    lifetime: Lifetime,
  ) {
    this.folder = folder;
    this.databaseUrl = databaseUrl;
    this.worker = worker;
    this.urls = urls;
    this.#environment = environment;
    this.#lifetime = lifetime;
  }

  static async open({
    servers,
    modules = [],
    prepare = () => () => {},
    through = async (url) => url,
    environment = () => ({}),
  }: CrashStageOptions): Promise<CrashStage> {
    const logger = createLogger('silent');
    const lifetime = new Lifetime(logger);
    const own = (name: string, close: () => unknown) =>
      lifetime.own({ name, close: async () => void (await close()) });
    try {
      const folder = mkdtempSync(join(tmpdir(), 'fovea-chaos-'));
      own('folder', () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
      chmodSync(folder, 0o711); // For the user that PostgreSQL runs as where the tests run as root.
      own('preparation', prepare(folder));
      const sources = Object.fromEntries(modules.map(({ url, source }) => [url, source]));
      writeFileSync(join(folder, 'modules.json'), JSON.stringify(sources));
      // What a commit has answered must survive that its server is ended; that the machine is, nothing here tries.
      const unsynced = { fsync: 'off', full_page_writes: 'off' };
      const postgres = await startEmbeddedPostgres(join(folder, 'database'), logger, { settings: unsynced });
      own('PostgreSQL', () => postgres.stop());
      const artifacts = join(folder, 'data/artifacts');
      const worker = await FoveaWorker.start({ artifacts, atEnd: (end) => own('worker', end) });
      const ports = await Promise.all(Array.from({ length: servers }, keepablePort));
      const urls = ports.map((port) => `http://127.0.0.1:${port}`);
      const DATABASE_URL = await through(postgres.url);
      const settings = (server: number) => ({ DATABASE_URL, ...environment(server) });
      return new CrashStage(folder, postgres.url, worker, urls, settings, lifetime);
    } catch (error) {
      await lifetime.close();
      throw error;
    }
  }

  /** Every point that any server has come by so far. */
  get reached(): ReadonlySet<CrashPoint> {
    const file = join(this.folder, 'reached');
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
    return new Set(lines as CrashPoint[]);
  }

  /** What servers have logged as errors so far. */
  get errors(): LoggedError[] {
    const lines = existsSync(this.#log) ? readFileSync(this.#log, 'utf8').split('\n') : [];
    // Of a line whose writer was killed there may be a part.
    return lines.filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line));
  }

  get #log(): string {
    return join(this.folder, 'log');
  }

  /** Starts a server; it dies when it comes by `point` for the `times`-th time. Answers once it serves, or has died of it. */
  async start(index: number, point: CrashPoint | null = null, times = 1): Promise<RunningServer> {
    const environment = {
      FOVEA_CRASH_MODULES: join(this.folder, 'modules.json'),
      FOVEA_CRASH_REACHED: join(this.folder, 'reached'),
      ...(point && { FOVEA_CRASH_AT: point, FOVEA_CRASH_TIMES: String(times) }),
      FOVEA_DATA_DIR: join(this.folder, 'data'),
      FOVEA_WORKERS: this.worker.address,
      FOVEA_INIT_API_KEY: this.key,
      FOVEA_LOG_LEVEL: 'error',
      PORT: new URL(this.urls[index]!).port,
      ...this.#environment(index),
    };
    const flags = ['--disable-warning=ExperimentalWarning', '--import', hook];
    const log = openSync(this.#log, 'a');
    const child = spawn(process.execPath, [...flags, main, 'start', '--json'], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    const ended = exited(child);
    this.#lifetime.own({
      name: 'server',
      close: async () => {
        child.kill('SIGKILL');
        await ended;
      },
    });
    const isUp = await firstLine(child).then(
      () => true,
      () => false,
    );
    return {
      isUp,
      ended,
      kill: (signal = 'SIGKILL') => child.kill(signal),
    };
  }

  /**
   * Starts a server that is to die when it comes by `point` for the `times`-th time, and resolves when it has died: after
   * `livesMs` it is killed wherever it is or, where `endsMs` is not null, asked to end and killed if it has not by then.
   */
  async runToDeath(index: number, { point, times, livesMs, endsMs }: Life): Promise<Death> {
    const server = await this.start(index, point, times);
    let end = await within(livesMs, server.ended);
    if (end === 'SIGKILL') return 'at its point';
    if (end !== undefined) return server.isUp ? 'by itself' : 'did not start';
    if (endsMs !== null) {
      server.kill('SIGTERM');
      end = await within(endsMs, server.ended);
      if (end === 'SIGKILL') return 'at its point';
      if (end !== undefined) return end === 0 ? 'in order' : 'by itself';
    }
    server.kill();
    await server.ended;
    return 'anywhere';
  }

  /**
   * SIGQUIT, PostgreSQL's immediate stop: no transaction is finished, and it recovers when it starts again; SIGINT, its fast one: it
   * ends in order. It is started again as soon as it has ended. Answers whether there was one.
   */
  stopDatabase(signal: 'SIGQUIT' | 'SIGINT'): boolean {
    const pidFile = join(this.folder, 'database/postgres/postmaster.pid');
    if (!existsSync(pidFile)) return false; // It is starting.
    const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
    if (pid === 0) return false; // It is being written.
    process.kill(pid, signal);
    return true;
  }

  /** Sees every tenant's rows. The caller's to end. */
  superuser(): pg.Pool {
    const url = new URL(this.databaseUrl);
    url.username = 'postgres';
    const { superuserPassword } = JSON.parse(
      readFileSync(join(this.folder, 'database/postgres.json'), 'utf8'),
    );
    url.password = superuserPassword;
    // Where others are to have all connections, one of these that ended when idle would leave its place to the server.
    const pool = new pg.Pool({ connectionString: url.href, idleTimeoutMillis: 0 });
    pool.on('error', () => {}); // The server is ended under it.
    return pool;
  }

  /** Ends all that was started. */
  async close(): Promise<void> {
    await this.#lifetime.close();
  }
}

export interface RunningServer {
  /** false: it ended before it served. */
  readonly isUp: boolean;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
  kill(signal?: NodeJS.Signals): void;
}

export interface LoggedError {
  readonly msg: string;
  readonly err?: { readonly type: string; readonly message: string; readonly code?: string };
}

export interface Life {
  readonly point: CrashPoint;
  readonly times: number;
  readonly livesMs: number;
  readonly endsMs: number | null;
}

/** undefined: it was not there within `ms`. */
async function within<T>(ms: number, awaited: Promise<T>): Promise<T | undefined> {
  const over = new AbortController();
  const late = delay(ms, undefined, { signal: over.signal }).catch(() => undefined);
  const value = await Promise.race([awaited, late]);
  over.abort();
  return value;
}
