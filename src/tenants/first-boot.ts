import { v7 as uuidv7 } from 'uuid';
import type { Database } from '../db/database.ts';
import { Prisma } from '../db/generated/client.ts';
import { OperatorError } from '../lib/errors.ts';
import { givenKey, insertKey } from './api-keys.ts';
import { normalEmail } from './email.ts';
import { generateApiKey } from './key-format.ts';
import { insertOwner, newOwner } from './owner.ts';
import type { Passwords } from './passwords.ts';
import { tenantNameFault } from './tenants.ts';
import { SCOPES } from './types.ts';

/** The largest of the plans that come with Fovea. */
const operatorPlan = 'Scale';

export interface FirstBootSettings {
  readonly tenantName: string;
  readonly email: string;
  /** null: one is made up. */
  readonly password: string | null;
  /** The text of the first API key; null: one is made. */
  readonly apiKey: string | null;
}

/** What to tell the operator, this once. */
export interface FirstBoot {
  readonly tenantId: string;
  /** The tenant's name. */
  readonly tenant: string;
  readonly email: string;
  /** The password that was made up; null where one was given. */
  readonly password: string | null;
  readonly apiKey: string;
}

/**
 * Makes the operator's tenant on the largest plan, its owner and a key with every scope: all of it, or nothing. null where the
 * installation has its operator already; of several processes that boot at once, one makes it. Throws OperatorError for a
 * setting without a valid form.
 */
export async function initialise(
  database: Database,
  passwords: Passwords,
  { tenantName, email, password, apiKey }: FirstBootSettings,
): Promise<FirstBoot | null> {
  const fault = tenantNameFault(tenantName);
  if (fault !== null) throw new OperatorError(fault);
  const key = apiKey === null ? generateApiKey() : givenKey(apiKey);
  const id = uuidv7();
  const boot = () =>
    database.asTenant(id, async (tx) => {
      // The unique index on the operator decides: a process that comes second waits here for the first, then inserts nothing.
      // Row-level security hides another tenant's row from a SELECT, but not from an index.
      const inserted = await tx.$executeRaw`
      INSERT INTO tenant (id, name, plan_id, is_operator)
      SELECT ${id}::uuid, ${tenantName}, plan.id, true FROM plan WHERE name = ${operatorPlan} ORDER BY version DESC LIMIT 1
      ON CONFLICT (is_operator) WHERE is_operator DO NOTHING`;
      if (inserted === 0) return null;
      const owner = await newOwner(passwords, email, password);
      await insertOwner(tx, id, owner);
      await insertKey(tx, id, { name: 'first key', scopes: SCOPES }, key, null);
      return {
        tenantId: id,
        tenant: tenantName,
        email: owner.email,
        password: owner.madeUpPassword,
        apiKey: key.text,
      };
    });
  const again = (error: unknown) => {
    if (!isUniqueViolation(error)) throw error;
    // Of two with one name that come at the same moment, the second may have run into the name before the operator was there to see.
    return boot();
  };
  return boot()
    .catch(again)
    .catch((error: unknown) => {
      if (!isUniqueViolation(error)) throw error;
      throw new OperatorError(
        `The operator's tenant cannot be made: '${tenantName}', ${normalEmail(email)} or the key given for it belongs to a tenant ` +
          'that was created before the first start. Choose others.',
      );
    });
}

/** Prisma has one code for its own statements (P2002) and another for plain SQL (P2010), which tells the cause in `meta`. */
function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Prisma.PrismaClientKnownRequestError)) return false;
  return error.code === 'P2002' || JSON.stringify(error.meta).includes('UniqueConstraintViolation');
}
