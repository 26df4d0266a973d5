import { WorkerLostError } from '../oip/errors.ts';

/** Something that comes and goes, to be waited for: `T` is what there is while it is there. */
export class Readiness<T> {
  #current: T | null = null;
  #former: { readonly value: T; readonly since: number } | null = null;
  #closed = false;
  readonly #callbacks = new Set<() => void>();
  readonly #waiting = new Set<{ resolve: (value: T) => void; reject: (error: Error) => void }>();

  get current(): T | null {
    return this.#current;
  }

  get closed(): boolean {
    return this.#closed;
  }

  onReady(callback: () => void): void {
    this.#callbacks.add(callback);
  }

  set(value: T): void {
    if (this.#closed) return;
    this.#current = value;
    for (const { resolve } of this.#waiting) resolve(value);
    this.#waiting.clear();
    for (const callback of this.#callbacks) callback();
  }

  clear(): void {
    if (this.#current !== null) this.#former = { value: this.#current, since: performance.now() };
    this.#current = null;
  }

  /** What there was, where it has gone less than `ms` ago and not come back. */
  formerWithin(ms: number): T | null {
    const isRecent = this.#current === null && this.#former && performance.now() - this.#former.since < ms;
    return isRecent ? this.#former!.value : null;
  }

  /** From now on nothing comes any more: whoever waits gets a WorkerLostError. */
  close(): void {
    this.#closed = true;
    this.#current = null;
    for (const { reject } of this.#waiting) reject(closedError());
    this.#waiting.clear();
  }

  wait(): Promise<T> {
    if (this.#closed) return Promise.reject(closedError());
    const current = this.#current;
    if (current !== null) return Promise.resolve(current);
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
  }
}

function closedError(): WorkerLostError {
  return new WorkerLostError('the worker was closed');
}
