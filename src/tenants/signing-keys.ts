import { generateKeyPairSync } from 'node:crypto';
import { ChangedCache } from '../db/changed-cache.ts';
import { announce } from '../db/changes.ts';
import type { Database, Transaction } from '../db/database.ts';
import type { SigningKey } from '../db/generated/client.ts';
import type { Notifications } from '../db/notifications.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { randomText } from './random-text.ts';

/**
 * The keys that tokens are signed with, shared by all processes through their table. A unique index lets one be active:
 * processes that find none, or rotate at the same moment, end up with the same one.
 */
export class SigningKeys {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #cache: ChangedCache<SigningKey[]>;

  constructor(database: Database, notifications: Notifications, clock: Clock = systemClock) {
    this.#database = database;
    this.#clock = clock;
    this.#cache = new ChangedCache(notifications, { max: 1, ttlMs: 300_000, tagsOf: () => ['signing-keys'] });
  }

  /** What to sign with; made on first use. */
  async active(): Promise<{ kid: string; privatePem: string }> {
    const active = activeOf(await this.#all());
    if (active) return active;
    await this.#change(install);
    const made = activeOf(await this.#all());
    if (!made) throw new Error('The signing key that was just made cannot be read back.');
    return made;
  }

  /**
   * What to verify with, or null where no such key is trusted (any more) for tokens that are good for `longestSeconds`: once the
   * last it signed has expired, a retired key is of use to a thief alone.
   */
  async publicPem(kid: string, longestSeconds: number): Promise<string | null> {
    const oldestRetired = this.#clock.now() - longestSeconds * 1000;
    const key = (await this.#all()).find((key) => key.kid === kid);
    const isTrusted = key && (key.retiredAt === null || key.retiredAt.getTime() > oldestRetired);
    return isTrusted ? key.publicPem : null;
  }

  /** From now on another key signs; the present one verifies until its last token has expired. */
  async rotate(): Promise<void> {
    await this.#change(async (tx) => {
      await tx.signingKey.updateMany({
        where: { retiredAt: null },
        data: { retiredAt: new Date(this.#clock.now()), privatePem: null },
      });
      await install(tx);
    });
  }

  async #all(): Promise<SigningKey[]> {
    const keys = await this.#cache.get('all', () =>
      this.#database.asOperator((tx) => tx.signingKey.findMany()),
    );
    return keys ?? [];
  }

  async #change(work: (tx: Transaction) => Promise<void>): Promise<void> {
    await this.#database.asOperator(async (tx) => {
      await work(tx);
      await announce(tx, 'signing-keys');
    });
    this.#cache.invalidate('signing-keys');
  }
}

function activeOf(keys: SigningKey[]): { kid: string; privatePem: string } | null {
  for (const { kid, privatePem } of keys) {
    if (privatePem !== null) return { kid, privatePem };
  }
  return null;
}

/** Waits for another process that does the same, and then leaves its key be. */
async function install(tx: Transaction): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = {
    kid: randomText(16),
    algorithm: 'ES256',
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
  await tx.signingKey.createMany({ data: key, skipDuplicates: true });
}
