import type { Logger } from '../../lib/logger.ts';
import { type Repeating, repeat } from '../../lib/repeating.ts';
import type { WorkerMemory } from '../oip/worker-memory.ts';

/** One that has not answered by then is silent. */
const SILENT_MS = 2_500;
/** An answer waits behind the batch or the load that holds the worker. */
const PATIENCE_MS = 60_000;

/** Asks a worker now and then what its memory holds: other API processes have it load and unload models, too. */
export class MemoryWatch {
  readonly #ask: (signal: AbortSignal) => Promise<WorkerMemory | null>;
  readonly #told: (memory: WorkerMemory, askedAt: number) => void;
  readonly #repeating: Repeating;
  readonly #closing = new AbortController();
  #latest: WorkerMemory | null = null;
  /** When the questions were asked that are not answered yet, on the clock of `performance`. */
  readonly #open = new Set<{ readonly at: number }>();

  /**
   * @param ask what to ask; null: there is nobody to ask now, or it does not tell
   * @param told what is done with each answer; `askedAt` is on the clock of `performance`
   */
  constructor(
    ask: (signal: AbortSignal) => Promise<WorkerMemory | null>,
    told: (memory: WorkerMemory, askedAt: number) => void,
    { everyMs, logger }: { everyMs: number; logger: Logger },
  ) {
    this.#ask = ask;
    this.#told = told;
    this.#repeating = repeat("looking at a worker's memory", everyMs, () => this.look(), logger);
  }

  /** As it was told last. */
  get latest(): WorkerMemory | null {
    return this.#latest;
  }

  /** Whether an answer is overdue: it is busy, or hangs. */
  get isSilent(): boolean {
    const [oldest] = this.#open;
    return oldest !== undefined && performance.now() - oldest.at > SILENT_MS;
  }

  /** Asks now. */
  async look(): Promise<void> {
    const askedAt = performance.now();
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(PATIENCE_MS)]);
    const question = { at: askedAt };
    this.#open.add(question);
    // That it does not answer is seen by what is asked of it in earnest.
    const memory = await this.#ask(signal).catch(() => null);
    this.#open.delete(question);
    if (this.#closing.signal.aborted) return;
    this.#latest = memory;
    if (memory !== null) this.#told(memory, askedAt);
  }

  close(): Promise<void> {
    this.#closing.abort();
    return this.#repeating.stop();
  }
}
