import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lowerWorkerPriority } from '../../lib/priority.ts';
import { OipClient } from '../oip/client.ts';
import { WorkerLostError } from '../oip/errors.ts';
import { type Compute, onCpu } from '../providers/provider.ts';
import type { TensorFlowChoice } from '../worker/engines/tensorflow/runtime.ts';
import { workerEnvironment } from './worker-environment.ts';

export interface WorkerProcessOptions {
  /** The artefact store's folder. */
  readonly artifacts: string;
  /** Threads one inference computes with. */
  readonly threads: number;
  /** Resident memory that it may take, bytes; half of the machine's. */
  readonly memoryBytes?: number;
  /** The CPU unless told otherwise. */
  readonly compute?: Compute;
  /** As the setting FOVEA_TENSORFLOW has it. */
  readonly tensorFlow: TensorFlowChoice;
  /** Of what it writes to this process' standard error. */
  readonly logLevel: string;
  /** Variables of its environment, beside those that `workerEnvironment` hands on. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** How a process ended. */
export interface End {
  /** For the log. */
  readonly how: string;
  /** By itself and not in order: whatever it was doing did that. */
  readonly isCrash: boolean;
}

/** Of a process that was interrupted twice. */
const INTERRUPTED = 130;
/** By which others end it. */
const SENT_BY_OTHERS: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'];

/**
 * One worker process, from its start to its end. It has a process group of its own, so that Ctrl-C ends the parent alone,
 * which then ends it in order; and the parent's end of its standard input, so that it ends however the parent dies.
 */
export class WorkerProcess {
  readonly client: OipClient;
  /** Settles when it has ended; never rejects. */
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;
  readonly #folder: string;
  #running = true;

  constructor(command: readonly string[], options: WorkerProcessOptions) {
    const { artifacts, threads, memoryBytes, compute = onCpu, tensorFlow, logLevel, environment } = options;
    // Unguessable and 0700: whoever may connect may run models.
    this.#folder = mkdtempSync(join(tmpdir(), 'fovea-'));
    const socketPath = join(this.#folder, 'worker');
    const [program = process.execPath, ...first] = command;
    this.#child = spawn(
      program,
      [
        ...first,
        'worker',
        ...['--listen', `unix:${socketPath}`],
        ...['--artifacts', artifacts],
        ...['--threads', String(threads)],
        ...(memoryBytes === undefined ? [] : ['--memory', String(memoryBytes)]),
        ...['--providers', compute.providers.join(',')],
        ...['--device', String(compute.deviceId)],
        '--exit-with-parent',
      ],
      {
        detached: true,
        env: {
          ...workerEnvironment(process.env),
          ...environment,
          // What it leaves behind when it is killed goes with its folder.
          TMPDIR: this.#folder,
          FOVEA_LOG_LEVEL: logLevel,
          FOVEA_TENSORFLOW: tensorFlow,
        },
        // Its line on standard output is for those who start a worker by hand.
        stdio: ['pipe', 'ignore', 'inherit'],
      },
    );
    const { pid } = this.#child;
    // With another device it computes there, and its moments on a processor are as short as anybody's.
    if (pid !== undefined && compute.providers[0] === 'cpu') lowerWorkerPriority(pid);
    this.client = new OipClient({ socketPath });
    this.ended = new Promise<End>((resolve) => {
      this.#child.on('error', (error) =>
        resolve({ how: `could not be started: ${error.message}`, isCrash: false }),
      );
      this.#child.once('exit', (code, signal) =>
        resolve(
          signal
            ? { how: signal, isCrash: !SENT_BY_OTHERS.includes(signal) }
            : { how: `exit code ${code}`, isCrash: code !== 0 && code !== INTERRUPTED },
        ),
      );
    }).then(async (end) => {
      this.#running = false;
      // Calls in flight end now, not when their connections notice.
      await this.client.close();
      this.#removeFolder();
      return end;
    });
  }

  get pid(): number | null {
    return this.#running ? (this.#child.pid ?? null) : null;
  }

  get rssBytes(): number | null {
    if (this.pid === null) return null;
    try {
      const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1];
      return kilobytes === undefined ? null : Number(kilobytes) * 1024;
    } catch {
      return null; // Not Linux, or just gone.
    }
  }

  /** Settles when it answers. Throws WorkerLostError where it ends before, or does not answer in `timeoutMs`. */
  async listening(timeoutMs: number): Promise<void> {
    const bound = AbortSignal.timeout(timeoutMs);
    while (!(await this.client.serverReady(bound).catch(() => false))) {
      if (!this.#running) throw new WorkerLostError(`the worker did not start: ${(await this.ended).how}`);
      if (bound.aborted) throw new WorkerLostError(`the worker did not start within ${timeoutMs} ms`);
      await sleep(20);
    }
  }

  /** Asks it to end, and makes it end after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.kill(), graceMs);
    await this.ended;
    clearTimeout(force);
  }

  /** Ends it and whatever it started, at once. */
  kill(): void {
    if (this.pid === null) return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch (error) {
      // It ended on its own between the two lines.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    this.#removeFolder();
  }

  #removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
