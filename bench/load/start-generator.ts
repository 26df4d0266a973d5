import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Order, Taken } from './generator.ts';
import { monotonicMs, type Sample, type Stream } from './stream.ts';

/** What a stream was answered in a span of time, on the clock of `monotonicMs`. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
  /** Milliseconds of a core that the generator itself took. */
  readonly generatorCpuMs: number;
}

/** One crowd of clients, in a process of its own. */
export class Generator {
  readonly #child: ChildProcess;
  #answer: PromiseWithResolvers<Taken> | null = null;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (taken: Taken) => this.#answer?.resolve(taken));
    child.once('exit', (code) =>
      this.#answer?.reject(new Error(`the load generator ended with exit code ${code}`)),
    );
  }

  static async start(): Promise<Generator> {
    const child = fork(fileURLToPath(new URL('generator.ts', import.meta.url)), {
      serialization: 'advanced',
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    await once(child, 'message');
    return new Generator(child);
  }

  /** Asks `streams` for so many seconds, and waits for the last answers: they are among the samples. */
  async run(streams: Readonly<Record<string, Stream>>, seconds: number): Promise<Run> {
    await this.begin(streams);
    const from = monotonicMs();
    await sleep(seconds * 1000);
    const to = monotonicMs();
    const { samples, cpuMs } = await this.end();
    return { from, to, samples, generatorCpuMs: cpuMs };
  }

  /** For longer runs: begins, to be asked by `take` and ended by `end`. */
  begin(streams: Readonly<Record<string, Stream>>): Promise<Taken> {
    return this.#order({ kind: 'begin', streams });
  }

  /** What was answered since the last call. */
  take(): Promise<Taken> {
    return this.#order({ kind: 'take' });
  }

  /** Asks no more, waits for the answers that are due and tells them. */
  end(): Promise<Taken> {
    return this.#order({ kind: 'end' });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.disconnect();
    await once(this.#child, 'exit');
  }

  /** One at a time. */
  #order(order: Order): Promise<Taken> {
    this.#answer = Promise.withResolvers<Taken>();
    this.#child.send(order);
    return this.#answer.promise;
  }
}
