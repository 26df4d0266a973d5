import { validate as isUuid, v7 as uuidv7 } from 'uuid';
import { announce } from '../db/changes.ts';
import type { Database, Transaction } from '../db/database.ts';
import type { ApiKey as ApiKeyRow } from '../db/generated/client.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { BadUserInputError, NotFoundError, OperatorError } from '../lib/errors.ts';
import type { Credentials } from './credentials.ts';
import { type ApiKeyParts, apiKeyPrefix, generateApiKey, parseApiKey } from './key-format.ts';
import { grantable, requireScopes } from './permissions.ts';
import { sha256 } from './secrets.ts';
import { type Principal, SCOPES, type Scope } from './types.ts';

export interface ApiKeyRecord {
  readonly id: string;
  readonly name: string;
  /** `fov_<shortId>`: what tells keys apart, and nothing that lets anybody in. */
  readonly prefix: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

/** `secret` is the whole key as its holder sends it: shown once, stored nowhere. */
export interface CreatedApiKey {
  readonly apiKey: ApiKeyRecord;
  readonly secret: string;
}

export interface NewApiKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt?: Date | null;
}

const longestGraceSeconds = 7 * 24 * 3600;

/** The keys of a tenant. Where an id is another tenant's, it is as unknown as one that never was: NotFoundError. */
export class ApiKeys {
  readonly #database: Database;
  readonly #credentials: Credentials;
  readonly #clock: Clock;

  constructor(database: Database, credentials: Credentials, clock: Clock = systemClock) {
    this.#database = database;
    this.#credentials = credentials;
    this.#clock = clock;
  }

  /** Throws BadUserInputError, and ForbiddenError for scopes that `principal` does not hold itself. */
  async create(principal: Principal, key: NewApiKey): Promise<CreatedApiKey> {
    const fault = keyFault(key, this.#clock.now());
    if (fault !== null) throw new BadUserInputError(fault);
    requireScopes(principal, key.scopes);
    const parts = generateApiKey();
    const row = await this.#database.asTenant(principal.tenant.id, (tx) =>
      insertKey(tx, principal.tenant.id, key, parts, principal),
    );
    return { apiKey: recordOf(row), secret: parts.text };
  }

  /**
   * Makes a key of the same name, scopes and expiry, and lets the old one work for `graceSeconds` (0..604800) more. Only a key
   * that works, and within the caller's own scopes: the new secret is handed to the caller.
   */
  async rotate(principal: Principal, id: string, graceSeconds: number): Promise<CreatedApiKey> {
    if (!Number.isInteger(graceSeconds) || graceSeconds < 0 || graceSeconds > longestGraceSeconds) {
      throw new BadUserInputError(
        `graceSeconds is ${graceSeconds}: it must be 0 to ${longestGraceSeconds} (7 days).`,
      );
    }
    const parts = generateApiKey();
    const { old, row } = await this.#database.asTenant(principal.tenant.id, async (tx) => {
      const old = await findKey(tx, id);
      requireScopes(principal, old.scopes as Scope[]);
      const row = await insertKey(tx, old.tenantId, recordOf(old), parts, principal);
      await this.#replace(tx, old, row.id, graceSeconds);
      return { old, row };
    });
    this.#credentials.forget(`key:${old.shortId}`);
    return { apiKey: recordOf(row), secret: parts.text };
  }

  /** From now on the key lets nobody in. Revoking it again changes nothing. */
  async revoke(principal: Principal, id: string): Promise<ApiKeyRecord> {
    const row = await this.#database.asTenant(principal.tenant.id, async (tx) => {
      const { shortId } = await findKey(tx, id);
      const revokedAt = new Date(this.#clock.now());
      await tx.apiKey.updateMany({ where: { id, revokedAt: null }, data: { revokedAt } });
      await announce(tx, `key:${shortId}`);
      return findKey(tx, id);
    });
    this.#credentials.forget(`key:${row.shortId}`);
    return recordOf(row);
  }

  /** Newest first. `after` is the id of the last key of the page before; expired keys are listed, revoked ones on request. */
  async list(
    principal: Principal,
    { first, after, includeRevoked }: { first: number; after: string | null; includeRevoked: boolean },
  ): Promise<{ rows: ApiKeyRecord[]; totalCount: number; hasNextPage: boolean }> {
    if (after !== null && !isUuid(after))
      throw new BadUserInputError('after is not a cursor that this list gave out.');
    const listed = includeRevoked ? {} : { revokedAt: null };
    return this.#database.asTenant(principal.tenant.id, async (tx) => {
      // Ids are UUIDv7: their order is that of creation.
      const rows = await tx.apiKey.findMany({
        where: after === null ? listed : { ...listed, id: { lt: after } },
        orderBy: { id: 'desc' },
        take: first + 1,
      });
      const totalCount = await tx.apiKey.count({ where: listed });
      return { rows: rows.slice(0, first).map(recordOf), totalCount, hasNextPage: rows.length > first };
    });
  }

  async get(principal: Principal, id: string): Promise<ApiKeyRecord | null> {
    if (!isUuid(id)) return null;
    const row = await this.#database.asTenant(principal.tenant.id, (tx) =>
      tx.apiKey.findUnique({ where: { id } }),
    );
    return row && recordOf(row);
  }

  /** For the operator's command line: any scopes that keys of the tenant can hold. Throws OperatorError, NotFoundError. */
  async createForTenant(tenantId: string, key: NewApiKey): Promise<CreatedApiKey> {
    const fault = keyFault(key, this.#clock.now());
    if (fault !== null) throw new OperatorError(fault);
    const parts = generateApiKey();
    const row = await this.#database.asTenant(tenantId, async (tx) => {
      const tenant = await tx.tenant.findUnique({ where: { id: tenantId } });
      if (tenant === null) throw new NotFoundError('There is no such tenant.');
      const granted = grantable(key.scopes, tenant.isOperator);
      const refused = key.scopes.filter((scope) => !granted.includes(scope));
      if (refused.length > 0) {
        throw new OperatorError(
          `Keys of the tenant '${tenant.name}' cannot hold ${refused.join(', ')}: only the operator's own can.`,
        );
      }
      return insertKey(tx, tenantId, key, parts, null);
    });
    return { apiKey: recordOf(row), secret: parts.text };
  }

  /** Tests and sets in one statement: of two rotations of one key at once, one fails and is undone with what it made. */
  async #replace(tx: Transaction, old: ApiKeyRow, replacedBy: string, graceSeconds: number): Promise<void> {
    const now = this.#clock.now();
    const graceEnd = new Date(now + graceSeconds * 1000);
    const expiresAt = old.expiresAt !== null && old.expiresAt < graceEnd ? old.expiresAt : graceEnd;
    const works = { revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: new Date(now) } }] };
    const { count } = await tx.apiKey.updateMany({
      where: { id: old.id, replacedBy: null, ...works },
      data: { replacedBy, ...(graceSeconds === 0 ? { revokedAt: graceEnd } : { expiresAt }) },
    });
    if (count === 0) {
      throw new BadUserInputError(
        'This key was revoked, has expired or was rotated before: create a new one.',
      );
    }
    await announce(tx, `key:${old.shortId}`);
  }
}

/** Writes a key and announces it: it may have been presented, and remembered as unknown, before it was one. */
export async function insertKey(
  tx: Transaction,
  tenantId: string,
  { name, scopes, expiresAt }: NewApiKey,
  { shortId, secret }: ApiKeyParts,
  by: Pick<Principal, 'memberId' | 'apiKeyId'> | null,
): Promise<ApiKeyRow> {
  const row = await tx.apiKey.create({
    data: {
      id: uuidv7(),
      tenantId,
      shortId,
      secretSha256: sha256(secret),
      name,
      scopes: SCOPES.filter((scope) => scopes.includes(scope)),
      createdByMember: by?.memberId ?? null,
      createdByKey: by?.apiKeyId ?? null,
      expiresAt: expiresAt ?? null,
    },
  });
  await announce(tx, `key:${shortId}`);
  return row;
}

/** The parts of a key whose text the operator chose. Throws OperatorError. */
export function givenKey(text: string): ApiKeyParts & { readonly text: string } {
  const parts = parseApiKey(text);
  if (parts !== null) return { ...parts, text };
  throw new OperatorError(
    'The API key that was given does not have a valid form: fov_<8 characters>_<43 characters><the CRC-32 of all before it ' +
      'as 8 lower-case hex digits>, characters of A-Z, a-z and 0-9.',
    2,
  );
}

async function findKey(tx: Transaction, id: string): Promise<ApiKeyRow> {
  const row = isUuid(id) ? await tx.apiKey.findUnique({ where: { id } }) : null;
  if (row === null) throw new NotFoundError('There is no such API key.');
  return row;
}

function recordOf({
  id,
  name,
  shortId,
  scopes,
  createdAt,
  lastUsedAt,
  expiresAt,
  revokedAt,
}: ApiKeyRow): ApiKeyRecord {
  const prefix = apiKeyPrefix + shortId;
  return { id, name, prefix, scopes: scopes as Scope[], createdAt, lastUsedAt, expiresAt, revokedAt };
}

/** What is wrong with a new key, or null. */
function keyFault({ name, scopes, expiresAt }: NewApiKey, now: number): string | null {
  const length = [...name].length;
  if (name.trim() === '' || length > 100)
    return `name has ${length} characters: it must have 1 to 100, not all of them blank.`;
  if (/\p{Cc}/u.test(name)) return 'name has a control character: leave it out.';
  if (scopes.length === 0) return `scopes is empty: name at least one of ${SCOPES.join(', ')}.`;
  if (expiresAt && expiresAt.getTime() <= now)
    return `expiresAt is ${expiresAt.toISOString()}: it must lie in the future.`;
  return null;
}
