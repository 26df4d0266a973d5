import type { Logger } from '../../lib/logger.ts';
import { OipError, WorkerLostError } from '../oip/errors.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import { MemoryWatch } from './memory-watch.ts';
import { OipVariant } from './oip-variant.ts';
import { type Patience, patience } from './patience.ts';
import type { DeathKind } from './quarantine.ts';
import { loadParameters, VariantLoader } from './variant-loader.ts';
import type { BatchNotes, BatchOutput } from './worker.ts';
import type { WorkerHost } from './worker-host.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface LocalProcessOptions {
  /** Bounds in milliseconds, beyond which it hangs. */
  readonly inferTimeoutMs: number;
  readonly loadTimeoutMs: number;
  /** Between two looks at its memory. */
  readonly lookMs: number;
  readonly host: WorkerHost;
  readonly logger: Logger;
  /** Called as soon as it is known that it answers no more, before its end is noticed. */
  readonly lost: () => void;
}

/** One process of a local worker, what it holds, and what it runs. */
export class LocalProcess {
  readonly process: WorkerProcess;
  readonly loader: VariantLoader;
  /** Its own: an answer that comes late says nothing of whoever has taken its place. */
  readonly memory: MemoryWatch;
  /** Settles when it has ended, with how; never rejects. */
  readonly ended: Promise<string>;
  readonly #options: LocalProcessOptions;
  /** What it runs or loads, a call each. */
  readonly #calls = new Map<object, Variant>();
  readonly #batches = new Set<Promise<unknown>>();
  /** What it did when it was noticed that it answers no more. */
  readonly #victims = new Set<Variant>();
  #isHung = false;
  #exceeded: () => void = () => {};

  constructor(process: WorkerProcess, options: LocalProcessOptions) {
    this.process = process;
    this.#options = options;
    const load = async (variant: Variant, onlyIfRoom: boolean) => {
      const { client } = process;
      const unloaded = await this.#bounded(variant, patience(options.loadTimeoutMs), (signal) =>
        client.load(variant.key, loadParameters(variant, onlyIfRoom), signal),
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
      options.host.died(kind, new Set([...this.#victims, ...this.#calls.values()]));
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

  async infer(variant: Variant, pixels: Tensor, notes: BatchNotes): Promise<BatchOutput> {
    const bounded = <T>(call: (signal: AbortSignal) => Promise<T>) =>
      this.#bounded(variant, patience(this.#options.inferTimeoutMs, this.loader), call);
    const batch = this.loader.use(
      variant,
      (open) => bounded((signal) => open.infer(pixels, signal, notes)),
      (open) => bounded((signal) => open.isHeld(signal)),
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

  /** Whatever it was that kept the process from answering, it is replaced: only an answer shows that it is well. */
  async #bounded<T>(
    variant: Variant,
    { signal, end }: Patience,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const own = {};
    this.#calls.set(own, variant);
    try {
      return await call(signal);
    } catch (error) {
      if (error instanceof OipError) throw error;
      this.#isHung ||= !(error instanceof WorkerLostError);
      for (const victim of this.#calls.values()) this.#victims.add(victim);
      this.#options.lost();
      this.process.kill();
      if (error instanceof WorkerLostError) throw error;
      throw new WorkerLostError(`the worker was killed: ${(error as Error).message}`, { cause: error });
    } finally {
      end();
      this.#calls.delete(own);
    }
  }
}
