import { ChangedCache } from '../db/changed-cache.ts';
import type { Change } from '../db/changes.ts';
import type { Database } from '../db/database.ts';
import type { Notifications } from '../db/notifications.ts';
import { grantable, scopesOfRole } from './permissions.ts';
import { tenantRecord, withPlan } from './tenant-record.ts';
import type { Principal, Role, Scope } from './types.ts';

/** What a presented API key is checked against. */
export interface KeyCredential {
  readonly secretSha256: Uint8Array;
  readonly expiresAt: Date | null;
  readonly principal: Principal;
}

/**
 * Who stands behind a key's short id or a session's id. Remembered until a notification says that it changed; so are ids that
 * stand for nobody, or each guess would cost a look-up. Each kind has its own memory, bounded: flooding one with guesses
 * pushes out what is not in use.
 */
export class Credentials {
  readonly #database: Database;
  readonly #keys: ChangedCache<KeyCredential>;
  readonly #sessions: ChangedCache<Principal>;

  constructor(database: Database, notifications: Notifications) {
    this.#database = database;
    const bounds = { max: 20_000, ttlMs: 300_000 };
    this.#keys = new ChangedCache(notifications, {
      ...bounds,
      tagsOf: (shortId, key) => tagsOf(`key:${shortId}`, key?.principal),
    });
    this.#sessions = new ChangedCache(notifications, {
      ...bounds,
      tagsOf: (id, principal) => tagsOf(`session:${id}`, principal),
    });
  }

  /**
   * null: no such key, or a revoked one. Whether it has expired is for the caller to see, at each use. `guard` makes the look-up,
   * or throws instead; it is not asked where the answer is remembered.
   */
  key(
    shortId: string,
    guard: (lookUp: () => Promise<KeyCredential | null>) => Promise<KeyCredential | null>,
  ): Promise<KeyCredential | null> {
    return this.#keys.get(shortId, () => guard(() => this.#loadKey(shortId)));
  }

  /** null: no such session, a revoked one, or its member is disabled. An access token expires before its session does. */
  session(id: string): Promise<Principal | null> {
    return this.#sessions.get(id, () => this.#loadSession(id));
  }

  /**
   * Drops what this process remembers of `change`, after its commit. The notification does the same a moment later here, and
   * everywhere else; this makes a revocation hold here by the time it is answered.
   */
  forget(change: Change): void {
    this.#keys.invalidate(change);
    this.#sessions.invalidate(change);
  }

  async #loadKey(shortId: string): Promise<KeyCredential | null> {
    const found = await this.#database.presenting(shortId, (tx) =>
      tx.apiKey.findUnique({ where: { shortId }, select: { tenantId: true } }),
    );
    if (found === null) return null;
    const key = await this.#database.asTenant(found.tenantId, (tx) =>
      tx.apiKey.findUnique({ where: { shortId }, include: { tenant: { include: withPlan } } }),
    );
    if (key === null || key.revokedAt !== null) return null;
    const tenant = tenantRecord(key.tenant);
    const principal: Principal = {
      tenant,
      scopes: new Set(grantable(key.scopes as Scope[], tenant.isOperator)),
      apiKeyId: key.id,
      memberId: null,
      sessionId: null,
      name: `key ${key.name}`,
      restriction: null,
    };
    return { secretSha256: key.secretSha256, expiresAt: key.expiresAt, principal };
  }

  async #loadSession(id: string): Promise<Principal | null> {
    const found = await this.#database.presenting(id, (tx) =>
      tx.session.findUnique({ where: { id }, select: { tenantId: true } }),
    );
    if (found === null) return null;
    const session = await this.#database.asTenant(found.tenantId, (tx) =>
      tx.session.findUnique({ where: { id }, include: { member: true, tenant: { include: withPlan } } }),
    );
    if (session === null || session.revokedAt !== null || session.member.disabledAt !== null) return null;
    const tenant = tenantRecord(session.tenant);
    return {
      tenant,
      scopes: new Set(scopesOfRole(session.member.role as Role, tenant.isOperator)),
      apiKeyId: null,
      memberId: session.memberId,
      sessionId: session.id,
      name: session.member.email,
      restriction: null,
    };
  }
}

function tagsOf(own: Change, principal: Principal | null | undefined): string[] {
  return principal ? [own, `tenant:${principal.tenant.id}`] : [own];
}
