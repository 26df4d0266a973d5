import { LRUCache } from 'lru-cache';

interface Entry<Value> {
  readonly owner: string;
  readonly value: Value;
  readonly bytes: number;
}

interface Share {
  /** The least recently used first. */
  readonly keys: Set<string>;
  bytes: number;
}

/**
 * Values within a number of bytes; what was used least recently goes first. No owner has more than half: one that has goes
 * through its own entries, so that however much it keeps, the other half is everybody else's.
 */
export class BoundedStore<Value> {
  readonly #entries: LRUCache<string, Entry<Value>>;
  readonly #mostOfOne: number;
  readonly #shares = new Map<string, Share>();

  constructor(mostBytes: number) {
    this.#mostOfOne = Math.floor(mostBytes / 2);
    this.#entries = new LRUCache({
      maxSize: mostBytes,
      sizeCalculation: ({ bytes }) => bytes,
      dispose: (entry, key) => this.#disposed(entry, key),
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const { keys } = this.#shares.get(entry.owner)!;
    keys.delete(key);
    keys.add(key);
    return entry.value;
  }

  /** Keeps nothing where the value alone is more than its owner may have. `bytes`: at least 1. */
  set(owner: string, key: string, value: Value, bytes: number): void {
    this.#entries.delete(key);
    if (bytes > this.#mostOfOne) return;
    for (const oldest of this.#shares.get(owner)?.keys ?? []) {
      if (this.#shares.get(owner)!.bytes + bytes <= this.#mostOfOne) break;
      this.#entries.delete(oldest);
    }
    this.#entries.set(key, { owner, value, bytes });
    const share = this.#shares.get(owner) ?? { keys: new Set(), bytes: 0 };
    this.#shares.set(owner, share);
    share.keys.add(key);
    share.bytes += bytes;
  }

  #disposed({ owner, bytes }: Entry<Value>, key: string): void {
    const share = this.#shares.get(owner)!;
    share.keys.delete(key);
    share.bytes -= bytes;
    if (share.keys.size === 0) this.#shares.delete(owner);
  }
}
