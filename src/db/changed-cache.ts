import { LRUCache } from 'lru-cache';
import type { Notifications } from './notifications.ts';

/** Carries what was changed, e.g. `tenant:<uuid>`: whoever changes a row announces it in the same transaction. */
export const changedChannel = 'fovea_changed';

export interface ChangedCacheOptions<V> {
  /** Entries at most: the least recently used goes first. */
  readonly max: number;
  /** How long an entry may be believed at most. */
  readonly ttlMs: number;
  /**
   * What the answer for `key` depends on, e.g. `tenant:<uuid>` or, for any of a kind, `tenant`; for null (there is no such
   * thing) too.
   */
  readonly tagsOf: (key: string, value: V | null) => string[];
}

interface Entry<V> {
  readonly value: V | null;
  readonly tags: readonly string[];
}

/**
 * What was read from the database, for as long as nobody says that it changed. Kept is only what no message can have
 * been missed about: without a connection for notifications everything is loaded each time.
 */
export class ChangedCache<V> {
  readonly #notifications: Notifications;
  readonly #tagsOf: ChangedCacheOptions<V>['tagsOf'];
  readonly #entries: LRUCache<string, Entry<V>>;
  readonly #loads = new Map<string, Promise<V | null>>();
  /**
   * Counts changes and gaps. A load that one of them fell into may have read the row as it was before: its value goes to
   * those who asked before the change, is not kept, and nobody who asks later joins it. That it may have been a change of
   * something else costs one load more.
   */
  #generation = 0;

  constructor(notifications: Notifications, { max, ttlMs, tagsOf }: ChangedCacheOptions<V>) {
    this.#notifications = notifications;
    this.#tagsOf = tagsOf;
    this.#entries = new LRUCache({ max, ttl: ttlMs });
    notifications.subscribe(changedChannel, (tag) => this.invalidate(tag));
    notifications.onGap(() => {
      this.#outdateLoads();
      this.#entries.clear();
    });
  }

  /** Answers the value for `key`; callers of one key at the same time share one `load`. A load that fails is not kept. */
  async get(key: string, load: () => Promise<V | null>): Promise<V | null> {
    if (!this.#notifications.connected) return load();
    const entry = this.#entries.get(key);
    if (entry) return entry.value;
    let loading = this.#loads.get(key);
    if (!loading) {
      loading = this.#load(key, load);
      this.#loads.set(key, loading);
    }
    return loading;
  }

  /** Drops what depends on `tag`, in this process alone: others learn of it by `announce`. */
  invalidate(tag: string): void {
    this.#outdateLoads();
    const kind = tag.split(':', 1)[0]!;
    for (const [key, { tags }] of this.#entries.entries()) {
      if (tags.includes(tag) || tags.includes(kind)) this.#entries.delete(key);
    }
  }

  async #load(key: string, load: () => Promise<V | null>): Promise<V | null> {
    const generation = this.#generation;
    try {
      const value = await load();
      if (generation === this.#generation) this.#entries.set(key, { value, tags: this.#tagsOf(key, value) });
      return value;
    } finally {
      if (generation === this.#generation) this.#loads.delete(key);
    }
  }

  #outdateLoads(): void {
    this.#generation += 1;
    this.#loads.clear();
  }
}
