import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../lib/logger.ts';
import { OipError, WorkerLostError } from '../oip/errors.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import { MemoryWatch } from './memory-watch.ts';
import { OipVariant } from './oip-variant.ts';
import { type Patience, patience } from './patience.ts';
import { loadParameters, VariantLoader } from './variant-loader.ts';
import type { BatchNotes, BatchOutput } from './worker.ts';
import type { DeathKind, WorkerHost, WorkerTask } from './worker-host.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface LocalProcessOptions {
  /** Bounds in milliseconds, beyond which it hangs. */
  readonly inferTimeoutMs: number;
  readonly loadTimeoutMs: (variant: Variant) => Promise<number>;
  /** Between two looks at its memory. */
  readonly lookMs: number;
  readonly host: WorkerHost;
  readonly logger: Logger;
  /** Called as soon as it is known that it answers no more, before its end is noticed. */
  readonly lost: () => void;
}

/** Whoever waits for a batch of one that was killed is not to wait for long until the system has ended it. */
const ENDED_WITHIN_MS = 1_000;

/** One process of a local worker, what it holds, and what it runs. */
export class LocalProcess {
  readonly process: WorkerProcess;
  readonly loader: VariantLoader;
  /** Its own: an answer that comes late says nothing of whoever has taken its place. */
  readonly memory: MemoryWatch;
  /** Settles when it has ended, with how; never rejects. */
  readonly ended: Promise<string>;
  readonly #options: LocalProcessOptions;
  readonly #calls = new Set<WorkerTask>();
  readonly #batches = new Set<Promise<unknown>>();
  /** What it did when it was noticed that it answers no more. */
  readonly #victims = new Set<WorkerTask>();
  #isHung = false;
  #exceeded: () => void = () => {};

  constructor(process: WorkerProcess, options: LocalProcessOptions) {
    this.process = process;
    this.#options = options;
    const load = async (variant: Variant, onlyIfRoom: boolean) => {
      const { client } = process;
      const unloaded = await this.#bounded(
        { variant, pixels: null },
        patience(await options.loadTimeoutMs(variant)),
        (signal) => client.load(variant.key, loadParameters(variant, onlyIfRoom), signal),
      );
      return new OipVariant(client, variant, unloaded);
    };
    this.loader = new VariantLoader(load, (variant, ms) => options.host.loaded(variant, ms));
    this.memory = new MemoryWatch(
      (signal) => process.client.memory(signal),
      (memory, askedAt) => {
        this.loader.compare(memory, askedAt);
        if (memory.isExceeded) this.#exceeded();
      },
      { everyMs: options.lookMs, logger: options.logger },
    );
    this.ended = process.ended.then(({ how, isCrash }) => {
      const kind: DeathKind = isCrash || this.#isHung ? 'broke' : 'gone';
      options.host.died(kind, new Set([...this.#victims, ...this.#calls]));
      void this.memory.close();
      return how;
    });
  }

  /** Settles when it is found from now on to take more memory than it may. */
  exceeded(): Promise<void> {
    return new Promise((resolve) => {
      this.#exceeded = resolve;
    });
  }

  /** It has a batch, and has not been killed. */
  get isBusy(): boolean {
    return this.#batches.size > 0 && !this.#isHung;
  }

  /** All that it has is lost, and known to have hung it. */
  killHung(): void {
    this.#isHung = true;
    this.#kill();
  }

  async infer(variant: Variant, pixels: Tensor, { trace, tenants }: BatchNotes): Promise<BatchOutput> {
    const bounded = <T>(pixels: Tensor | null, call: (signal: AbortSignal) => Promise<T>) =>
      this.#bounded({ variant, pixels, tenants }, patience(this.#options.inferTimeoutMs, this.loader), call);
    const batch = this.loader.use(
      variant,
      (open) => bounded(pixels, (signal) => open.infer(pixels, signal, { trace })),
      (open) => bounded(null, (signal) => open.isHeld(signal)),
    );
    this.#batches.add(batch);
    try {
      const output = await batch;
      this.#options.host.answered(variant.key);
      return output;
    } finally {
      this.#batches.delete(batch);
    }
  }

  /** Settles when all that it was given is answered. */
  async idle(): Promise<void> {
    while (this.#batches.size > 0) await Promise.allSettled(this.#batches);
  }

  /** How it ends is known a moment after its connections are. */
  async #hasCrashed(): Promise<boolean> {
    const known = new AbortController();
    const unknown = sleep(ENDED_WITHIN_MS, null, { signal: known.signal }).catch(() => null);
    const end = await Promise.race([this.process.ended, unknown]);
    known.abort();
    return end?.isCrash ?? false;
  }

  /** Whatever it was that kept the process from answering, it is replaced: only an answer shows that it is well. */
  async #bounded<T>(
    task: WorkerTask,
    { signal, end }: Patience,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    this.#calls.add(task);
    try {
      return await call(signal);
    } catch (error) {
      if (error instanceof OipError) throw error;
      this.#isHung ||= !(error instanceof WorkerLostError);
      this.#kill();
      const { message } = error as Error;
      if (this.#isHung)
        throw new WorkerLostError(`the worker was killed: ${message}`, { cause: error, hasBroken: true });
      throw new WorkerLostError(message, { cause: error, hasBroken: await this.#hasCrashed() });
    } finally {
      end();
      this.#calls.delete(task);
    }
  }

  #kill(): void {
    for (const victim of this.#calls) this.#victims.add(victim);
    this.#options.lost();
    this.process.kill();
  }
}
