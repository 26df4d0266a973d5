import type { Logger } from './logger.ts';

/** Something that was opened and has to be ended: a pool, a server, a child process. */
export interface Part {
  /** For the log. */
  readonly name: string;
  /** Ends it in order. */
  close(): Promise<unknown>;
  /** Ends what would outlive this process, at once and without waiting. */
  killNow?(): void;
}

/** What a process has opened so far, to be ended in reverse order, whenever the end comes: also in the middle of opening. */
export class Lifetime {
  readonly #logger: Logger;
  readonly #parts: Part[] = [];
  readonly #ending = new AbortController();
  #closing: Promise<void> = Promise.resolve();
  #clean = true;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Aborted when the end has begun, for those that wait while they open. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Takes over the end of `part`. Throws where the end has begun already: `part` is closed then, and nothing more shall open. */
  own(part: Part): void {
    this.#parts.push(part);
    if (!this.signal.aborted) return;
    void this.close();
    this.signal.throwIfAborted();
  }

  /**
   * Ends every part, the last first. One that cannot be closed is logged and killed, and keeps no other from being closed.
   *
   * @returns whether all closed in order
   */
  async close(): Promise<boolean> {
    this.#ending.abort(new Error('The process is ending.'));
    this.#closing = this.#closing.then(() => this.#closeParts());
    await this.#closing;
    return this.#clean;
  }

  /** Kills what would outlive this process, for one that is about to exit. */
  killNow(): void {
    for (const part of this.#parts) this.#kill(part);
  }

  async #closeParts(): Promise<void> {
    for (let part = this.#parts.at(-1); part; part = this.#parts.at(-1)) {
      try {
        await part.close();
      } catch (error) {
        this.#clean = false;
        this.#logger.error({ err: error }, `${part.name}: closing failed`);
        this.#kill(part);
      }
      // Only now: until it has ended, `killNow` must find it.
      this.#parts.splice(this.#parts.indexOf(part), 1);
    }
  }

  #kill(part: Part): void {
    try {
      part.killNow?.();
    } catch (error) {
      this.#logger.error({ err: error }, `${part.name}: killing failed`);
    }
  }
}
