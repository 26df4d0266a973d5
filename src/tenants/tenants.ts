import { v7 as uuidv7 } from 'uuid';
import { announce } from '../db/changes.ts';
import type { Database, Transaction } from '../db/database.ts';
import type { Plan as PlanRow } from '../db/generated/client.ts';
import { NotFoundError, OperatorError } from '../lib/errors.ts';
import type { Credentials } from './credentials.ts';
import { originsFault } from './origin.ts';
import { insertOwner, newOwner } from './owner.ts';
import type { Passwords } from './passwords.ts';
import { newestPlan, tenantRecord, withPlan } from './tenant-record.ts';
import type { TenantRecord } from './types.ts';

export interface NewTenant {
  readonly name: string;
  /** A plan's name; its newest version applies. */
  readonly plan: string;
  /** Where given, a member of role OWNER is made, with a password of Fovea's making. */
  readonly email?: string;
}

export interface CreatedTenant {
  readonly tenant: TenantRecord;
  readonly member: { readonly id: string; readonly email: string } | null;
  /** The owner's password, shown this once; null where there is no owner. */
  readonly password: string | null;
}

const mostOrigins = 100;

/** The tenants of the installation: what the operator does with them. */
export class Tenants {
  readonly #database: Database;
  readonly #credentials: Credentials;
  readonly #passwords: Passwords;

  constructor(database: Database, credentials: Credentials, passwords: Passwords) {
    this.#database = database;
    this.#credentials = credentials;
    this.#passwords = passwords;
  }

  /** Throws OperatorError where a name or an address is taken or has no valid form, or there is no such plan. */
  async create({ name, plan, email }: NewTenant): Promise<CreatedTenant> {
    const fault = tenantNameFault(name);
    if (fault !== null) throw new OperatorError(fault);
    if ((await this.byName(name)) !== null)
      throw new OperatorError(`There is a tenant named '${name}' already.`);
    const member = email === undefined ? null : await newOwner(this.#passwords, email, null);
    if (member !== null) await this.#refuseTaken(member.email);

    const id = uuidv7();
    await this.#database.asTenant(id, async (tx) => {
      await tx.tenant.create({ data: { id, name, planId: (await planNamed(tx, plan)).id } });
      if (member !== null) await insertOwner(tx, id, member);
      await announce(tx, `tenant:${id}`);
    });
    return {
      tenant: await this.record(id),
      member: member && { id: member.id, email: member.email },
      password: member?.madeUpPassword ?? null,
    };
  }

  async byName(name: string): Promise<TenantRecord | null> {
    const row = await this.#database.presenting(name, (tx) =>
      tx.tenant.findUnique({ where: { name }, include: withPlan }),
    );
    return row && tenantRecord(row);
  }

  /** Throws NotFoundError. */
  async record(id: string): Promise<TenantRecord> {
    const row = await this.#database.asTenant(id, (tx) =>
      tx.tenant.findUnique({ where: { id }, include: withPlan }),
    );
    if (row === null) throw new NotFoundError('There is no such tenant.');
    return tenantRecord(row);
  }

  /** Moves the tenant to the newest version of the plan; its next request is held to it. Throws OperatorError, NotFoundError. */
  async setPlan(tenantId: string, planName: string): Promise<TenantRecord> {
    await this.#database.asTenant(tenantId, async (tx) => {
      const { id: planId } = await planNamed(tx, planName);
      await tx.tenant.updateMany({ where: { id: tenantId }, data: { planId } });
      await announce(tx, `tenant:${tenantId}`);
    });
    this.#credentials.forget(`tenant:${tenantId}`);
    return this.record(tenantId);
  }

  /**
   * Says whose pages may read the tenant's answers, from the next request on; an empty list: nobody else's. Throws OperatorError,
   * NotFoundError.
   */
  async setOrigins(tenantId: string, origins: readonly string[]): Promise<TenantRecord> {
    const fault = originsFault('The list', origins, mostOrigins);
    if (fault !== null) throw new OperatorError(fault);
    await this.#database.asTenant(tenantId, async (tx) => {
      const allowedOrigins = [...new Set(origins)];
      await tx.tenant.updateMany({ where: { id: tenantId }, data: { allowedOrigins } });
      await announce(tx, `tenant:${tenantId}`);
    });
    this.#credentials.forget(`tenant:${tenantId}`);
    return this.record(tenantId);
  }

  async #refuseTaken(email: string): Promise<void> {
    const member = await this.#database.presenting(email, (tx) => tx.member.findUnique({ where: { email } }));
    if (member !== null)
      throw new OperatorError(`${email} is a member of a tenant already: an address is one person's.`);
  }
}

/** What is wrong with a new tenant's name, or null. */
export function tenantNameFault(name: string): string | null {
  const length = [...name].length;
  if (name.trim() !== '' && length <= 200) return null;
  return `A tenant's name has 1 to 200 characters, not all of them blank; this one has ${length}.`;
}

async function planNamed(tx: Transaction, name: string): Promise<PlanRow> {
  const plan = await newestPlan(tx, name);
  if (plan !== null) return plan;
  const plans = await tx.plan.findMany({ distinct: ['name'], orderBy: { name: 'asc' } });
  throw new OperatorError(
    `There is no plan named '${name}'. The plans are: ${plans.map((known) => known.name).join(', ')}.`,
  );
}
