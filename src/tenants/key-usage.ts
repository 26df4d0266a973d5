import type { Database } from '../db/database.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Principal } from './types.ts';

/** A key's last use is written at most this often: it is for people who look for keys nobody needs any more. */
const noteEveryMs = 60_000;
/** How long first uses gather into one statement a tenant. */
const gatherMs = 1_000;

/** Writes when each key was last used: in the background, so that no request waits for it. */
export class KeyUsage {
  readonly #database: Database;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #notedAt = new Map<string, number>();
  readonly #pending = new Map<string, Set<string>>(); // key ids by tenant
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(database: Database, logger: Logger, clock: Clock = systemClock) {
    this.#database = database;
    this.#logger = logger;
    this.#clock = clock;
  }

  note({ apiKeyId, tenant }: Principal): void {
    if (apiKeyId === null) return;
    const now = this.#clock.now();
    if (now - (this.#notedAt.get(apiKeyId) ?? -Infinity) < noteEveryMs) return;
    this.#notedAt.set(apiKeyId, now);
    const keys = this.#pending.get(tenant.id);
    if (keys) keys.add(apiKeyId);
    else this.#pending.set(tenant.id, new Set([apiKeyId]));
    this.#timer ??= setTimeout(() => void this.flush(), gatherMs).unref();
  }

  /** Writes what has gathered; resolves when it is written. Never rejects: a lost date is logged and costs nobody anything. */
  flush(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  close(): Promise<void> {
    return this.flush();
  }

  async #write(): Promise<void> {
    const now = this.#clock.now();
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const [keyId, notedAt] of this.#notedAt) {
      if (now - notedAt >= noteEveryMs) this.#notedAt.delete(keyId);
    }
    for (const [tenantId, keyIds] of pending) {
      try {
        await this.#database.asTenant(tenantId, (tx) =>
          tx.apiKey.updateMany({ where: { id: { in: [...keyIds] } }, data: { lastUsedAt: new Date(now) } }),
        );
      } catch (error) {
        this.#logger.warn({ err: error, keys: keyIds.size }, 'could not write when keys were last used');
      }
    }
  }
}
