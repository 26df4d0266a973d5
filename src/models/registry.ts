import { validate as isUuid } from 'uuid';
import { ChangedCache } from '../db/changed-cache.ts';
import type { Database, Transaction } from '../db/database.ts';
import type { Prisma } from '../db/generated/client.ts';
import type { Notifications } from '../db/notifications.ts';
import type { Task } from '../inference/variant.ts';
import { BadUserInputError } from '../lib/errors.ts';
import { type ModelRow, type ServedModel, servedModel } from './served-model.ts';

export type { CompressionReport, ServedModel, StoredVariant } from './served-model.ts';

export interface ModelPage {
  readonly rows: ServedModel[];
  /** On all pages together. */
  readonly totalCount: number;
  readonly hasNextPage: boolean;
}

const withVariants = { variants: { orderBy: { unitsPerImage: 'asc' } } } satisfies Prisma.ModelInclude;

/**
 * The models a tenant may use: its own and the public ones. A name of its own hides the public models of that name, every
 * version of them, so that `name` and `name@2` never come from two owners.
 */
export class ModelRegistry {
  readonly #database: Database;
  readonly #cache: ChangedCache<ServedModel>;

  constructor(database: Database, notifications: Notifications) {
    this.#database = database;
    // One new model may change what a name means for every tenant (a version goes live, a name of one's own hides a public
    // one, a name that was unknown is known). That is rare: the whole cache goes.
    this.#cache = new ChangedCache(notifications, { max: 10_000, ttlMs: 60_000, tagsOf: () => ['model'] });
  }

  /** `name` (its live version) or `name@version`; null: this tenant has no such model. Cached. */
  async resolve(tenantId: string, reference: string): Promise<ServedModel | null> {
    if (parseReference(reference) === null) return null;
    return this.#cache.get(`${tenantId} ${reference}`, () => this.find(tenantId, reference));
  }

  /** As `resolve`, from the database. Without a tenant public models alone are there. */
  async find(tenantId: string | null, reference: string): Promise<ServedModel | null> {
    const wish = parseReference(reference);
    return wish && this.#read(tenantId, (tx) => findVisible(tx, wish));
  }

  /** By id; null: there is none, or it is another tenant's. Without a tenant public models alone are there. */
  async get(tenantId: string | null, id: string): Promise<ServedModel | null> {
    if (!isUuid(id)) return null;
    const row = await this.#read(tenantId, (tx) =>
      tx.model.findUnique({ where: { id }, include: withVariants }),
    );
    return row && servedModel(row);
  }

  /**
   * What `resolve` can answer, all versions, in the order of name and version. `after` is the `modelCursor` of the last
   * row of the page before. Throws BadUserInputError where it is none.
   */
  async list(
    tenantId: string,
    { first, after, task }: { first: number; after: string | null; task: Task | null },
  ): Promise<ModelPage> {
    const behind = after === null ? {} : isBehind(parseCursor(after));
    return this.#database.asTenant(tenantId, async (tx) => {
      const own = await tx.model.findMany({
        where: { tenantId },
        distinct: ['name'],
        select: { name: true },
      });
      const visible: Prisma.ModelWhereInput = {
        ...(task && { task }),
        OR: [{ tenantId }, { tenantId: null, name: { notIn: own.map(({ name }) => name) } }],
      };
      const totalCount = await tx.model.count({ where: visible });
      const rows = await tx.model.findMany({
        where: { AND: [visible, behind] },
        include: withVariants,
        orderBy: [{ name: 'asc' }, { version: 'asc' }],
        take: first + 1,
      });
      return { rows: rows.slice(0, first).map(servedModel), totalCount, hasNextPage: rows.length > first };
    });
  }

  /** The live version of every public model, for those who load them ahead of the first request. */
  async livePublic(): Promise<ServedModel[]> {
    return (await this.#find(null, { isLive: true })).map(servedModel);
  }

  /** Every version of every model that a tenant sees, hidden ones too; without a tenant the public ones. */
  async all(tenantId: string | null): Promise<ServedModel[]> {
    return (await this.#find(tenantId, {})).map(servedModel);
  }

  #find(tenantId: string | null, where: Prisma.ModelWhereInput): Promise<ModelRow[]> {
    return this.#read(tenantId, (tx) =>
      tx.model.findMany({ where, include: withVariants, orderBy: [{ name: 'asc' }, { version: 'asc' }] }),
    );
  }

  #read<T>(tenantId: string | null, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return tenantId === null ? this.#database.asOperator(work) : this.#database.asTenant(tenantId, work);
  }
}

/** Where a page ends, for `list`. */
export function modelCursor({ name, version }: { name: string; version: number }): string {
  return Buffer.from(`${name}@${version}`).toString('base64url');
}

interface Reference {
  readonly name: string;
  /** null: the live one. */
  readonly version: number | null;
}

function parseReference(reference: string): Reference | null {
  const match = /^(?<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:@(?<version>[1-9]\d{0,8}))?$/.exec(reference);
  if (!match?.groups) return null;
  const { name, version } = match.groups;
  return { name: name!, version: version === undefined ? null : Number(version) };
}

function parseCursor(cursor: string): { name: string; version: number } {
  const reference = parseReference(Buffer.from(cursor, 'base64url').toString());
  if (reference === null || reference.version === null) {
    throw new BadUserInputError("after: expected a cursor that 'models' answered before");
  }
  return { name: reference.name, version: reference.version };
}

function isBehind({ name, version }: { name: string; version: number }): Prisma.ModelWhereInput {
  return { OR: [{ name: { gt: name } }, { name, version: { gt: version } }] };
}

async function findVisible(tx: Transaction, { name, version }: Reference): Promise<ServedModel | null> {
  const named = await tx.model.findMany({
    where: { name },
    select: { id: true, tenantId: true, version: true, isLive: true },
  });
  const own = named.filter(({ tenantId }) => tenantId !== null);
  const found = (own.length > 0 ? own : named).find((each) =>
    version === null ? each.isLive : each.version === version,
  );
  if (found === undefined) return null;
  const row = await tx.model.findUnique({ where: { id: found.id }, include: withVariants });
  return row && servedModel(row);
}
