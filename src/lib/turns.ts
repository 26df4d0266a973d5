/** Lets what is done for one owner be done one after the other; owners do not wait for each other. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(owner);
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.#last.set(owner, ended);
    try {
      await before;
      return await work();
    } finally {
      if (this.#last.get(owner) === ended) this.#last.delete(owner);
      end();
    }
  }
}
