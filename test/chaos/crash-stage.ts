import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/db/embedded.ts';
import { Lifetime } from '../../src/lib/lifetime.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { generateApiKey } from '../../src/tenants/key-format.ts';
import { FoveaWorker } from '../support/fovea-worker.ts';
import { exited, firstLine } from '../support/processes.ts';
import type { CrashPoint, InstrumentedFile } from './crash-points.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');
const hook = resolve(import.meta.dirname, 'crash-hook.ts');

/** How a server's life ended: at the point it was to end at, where it was when its time was over, or of a fault of its own. */
export type Death = 'at its point' | 'anywhere' | 'by itself' | 'did not start';

export interface CrashStageOptions {
  readonly servers: number;
  /** What the servers run in the place of the modules themselves. */
  readonly modules?: readonly InstrumentedFile[];
  /** What the folder needs beforehand, and how that is undone at the end, once nothing runs any more. */
  readonly prepare?: (folder: string) => () => void;
  /** Leads the servers to the database by another way. */
  readonly through?: (url: string) => Promise<string>;
  /** Settings of the servers. */
  readonly environment?: Record<string, string>;
}

/** One installation with a database and a worker of its own, and several servers on it, each of which can be told where to die. */
export class CrashStage {
  readonly folder: string;
  readonly databaseUrl: string;
  readonly worker: FoveaWorker;
  readonly urls: readonly string[];
  readonly key = generateApiKey().text;
  readonly #environment: Record<string, string>;
  readonly #lifetime: Lifetime;

  private constructor(
    folder: string,
    databaseUrl: string,
    worker: FoveaWorker,
    urls: readonly string[],
    environment: Record<string, string>,
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
    environment = {},
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
      const settings = { fsync: 'off', full_page_writes: 'off' };
      const postgres = await startEmbeddedPostgres(join(folder, 'database'), logger, { settings });
      own('PostgreSQL', () => postgres.stop());
      const artifacts = join(folder, 'data/artifacts');
      const worker = await FoveaWorker.start({ artifacts, atEnd: (end) => own('worker', end) });
      const urls = (await freePorts(servers)).map((port) => `http://127.0.0.1:${port}`);
      const settled = { ...environment, DATABASE_URL: await through(postgres.url) };
      return new CrashStage(folder, postgres.url, worker, urls, settled, lifetime);
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

  /** Starts a server; it dies when it comes by `point` for the `times`-th time. Answers once it serves, or has died of it. */
  async start(index: number, point: CrashPoint | null = null, times = 1): Promise<RunningServer> {
    const environment = {
      FOVEA_CRASH_MODULES: join(this.folder, 'modules.json'),
      FOVEA_CRASH_REACHED: join(this.folder, 'reached'),
      ...(point && { FOVEA_CRASH_AT: point, FOVEA_CRASH_TIMES: String(times) }),
      FOVEA_DATA_DIR: join(this.folder, 'data'),
      ...this.#environment,
      FOVEA_WORKERS: this.worker.address,
      FOVEA_INIT_API_KEY: this.key,
      FOVEA_LOG_LEVEL: 'fatal',
      PORT: new URL(this.urls[index]!).port,
    };
    const flags = ['--disable-warning=ExperimentalWarning', '--import', hook];
    const child = spawn(process.execPath, [...flags, main, 'start', '--json'], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
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

  /** Starts a server that is to die at `point`, and resolves when it has died, there or, after `withinMs`, anywhere. */
  async runToDeath(index: number, point: CrashPoint, times: number, withinMs: number): Promise<Death> {
    const server = await this.start(index, point, times);
    const timeIsOver = new AbortController();
    const death = await Promise.race([
      server.ended.then((how): Death => {
        if (how === 'SIGKILL') return 'at its point';
        return server.isUp ? 'by itself' : 'did not start';
      }),
      delay(withinMs, 'anywhere' as const, { signal: timeIsOver.signal }).catch((): Death => 'anywhere'),
    ]);
    timeIsOver.abort();
    if (death === 'anywhere') {
      server.kill();
      await server.ended;
    }
    return death;
  }

  /**
   * SIGQUIT, PostgreSQL's immediate stop: no transaction is finished, and it recovers when it starts again; SIGINT, its fast one: it
   * ends in order. It is started again as soon as it has ended. Answers whether there was one.
   */
  stopDatabase(signal: 'SIGQUIT' | 'SIGINT'): boolean {
    const pidFile = join(this.folder, 'database/postgres/postmaster.pid');
    if (!existsSync(pidFile)) return false; // It is starting.
    process.kill(Number(readFileSync(pidFile, 'utf8').split('\n')[0]), signal);
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

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
