import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { keepablePort } from './keepable-port.ts';
import { exited, firstLine } from './processes.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface FoveaWorkerOptions {
  /** `<host>:<port>`; where it is left out, a port of 127.0.0.1 that stays its own over a restart. */
  readonly listen?: string;
  /** The artefact folder; where it is left out, one of its own, which is empty at first. */
  readonly artifacts?: string;
  readonly token?: string;
  /** 1 unless it is told. */
  readonly threads?: number;
  /** Called with what ends it, in the place of the end of the test. */
  readonly atEnd?: (clean: () => void) => void;
}

/** A `fovea worker` as operators run it: a process of its own at an address of its own, ended after the test. */
export class FoveaWorker {
  /** Its address, e.g. `http://127.0.0.1:40123`; the same after a restart. */
  readonly address: string;
  readonly #args: readonly string[];
  readonly #environment: Record<string, string>;
  #child: ChildProcess;

  private constructor(
    address: string,
    child: ChildProcess,
    args: readonly string[],
    environment: Record<string, string>,
  ) {
    this.address = address;
    this.#child = child;
    this.#args = args;
    this.#environment = environment;
  }

  static async start(options: FoveaWorkerOptions = {}): Promise<FoveaWorker> {
    const { token, threads = 1, atEnd = onTestFinished } = options;
    const listen = options.listen ?? `127.0.0.1:${await keepablePort()}`;
    const own = options.artifacts === undefined ? mkdtempSync(join(tmpdir(), 'fovea-test-')) : null;
    const args = ['--artifacts', options.artifacts ?? own!, '--threads', `${threads}`];
    const environment = token === undefined ? {} : { FOVEA_WORKER_TOKEN: token };
    const { child, address } = await launch(listen, args, environment);
    const worker = new FoveaWorker(address, child, args, environment);
    atEnd(() => {
      worker.kill();
      if (own) rmSync(own, { recursive: true, force: true });
    });
    return worker;
  }

  get port(): number {
    return Number(new URL(this.address).port);
  }

  kill(): void {
    this.signal('SIGKILL');
  }

  /** SIGSTOP hangs it, SIGCONT lets it go on. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Kills it and starts another at the same address. */
  async restart(): Promise<void> {
    this.kill();
    await exited(this.#child);
    const listen = this.address.replace('http://', '');
    this.#child = (await launch(listen, this.#args, this.#environment)).child;
  }
}

async function launch(listen: string, args: readonly string[], environment: Record<string, string>) {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', main, 'worker', '--listen', listen, ...args],
    {
      env: { ...process.env, FOVEA_LOG_LEVEL: process.env.FOVEA_LOG_LEVEL ?? 'fatal', ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [, address = ''] = /^fovea worker ready (\S+)$/.exec(await firstLine(child)) ?? [];
  return { child, address };
}
