import type { ModelSource } from './held-model.ts';

export interface Absent {
  /** What the name held, or should. */
  readonly source: ModelSource;
  readonly reason: string;
}

/** Names are the clients' to choose: so many are remembered. */
const MOST = 100;

/** Names that hold nothing any more, or could not be loaded: the last 100 of them. */
export class AbsentModels {
  /** The longest absent first. */
  readonly #byName = new Map<string, Absent>();

  get(name: string): Absent | undefined {
    return this.#byName.get(name);
  }

  add(name: string, absent: Absent): void {
    this.delete(name);
    this.#byName.set(name, absent);
    const [longest] = this.#byName.keys();
    if (this.#byName.size > MOST && longest !== undefined) this.delete(longest);
  }

  delete(name: string): void {
    this.#byName.delete(name);
  }

  list(): [name: string, absent: Absent][] {
    return [...this.#byName];
  }
}
