import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { openDatabase } from '../src/db/database.ts';
import { openNotifications } from '../src/db/notifications.ts';
import { createLogger } from '../src/lib/logger.ts';
import { createTenancy } from '../src/tenants/tenancy.ts';

export interface WantedTenant {
  readonly name: string;
  /** Its share of a saturated device, as against the others'. */
  readonly weight?: number;
  /** Its requests in flight at most. */
  readonly concurrency?: number;
}

/** No limit. */
export const ANY_CONCURRENCY = 100_000;

/**
 * Makes tenants that no limit but the queue's and what is wanted holds back, each on a plan of its own, whose weights may then be any.
 *
 * @returns an API key by tenant
 */
export async function createTenants(
  databaseUrl: string,
  wanted: readonly WantedTenant[],
): Promise<Record<string, string>> {
  const logger = createLogger('warn');
  // Plans are the owner's to write: they are no tenant's, and the application reads them alone.
  const owner = new pg.Client(databaseUrl);
  await owner.connect();
  const database = openDatabase(databaseUrl, { poolSize: 2 });
  const notifications = await openNotifications(databaseUrl, logger);
  const tenancy = createTenancy({ database, notifications, logger });
  const keys: Record<string, string> = {};
  try {
    for (const { name, weight = 1, concurrency = ANY_CONCURRENCY } of wanted) {
      const plan = `bench ${name}`;
      await owner.query(
        `INSERT INTO plan (id, name, version, monthly_units, hard_limit, points_per_second, burst, concurrency, weight,
                           base_cents, included_units, unit_amount_decimal)
         VALUES ($1, $2, 1, NULL, false, 1000000, 1000000, $4, $3, 0, 0, 0)`,
        [randomUUID(), plan, weight, concurrency],
      );
      const { tenant } = await tenancy.tenants.create({ name, plan });
      const { secret } = await tenancy.apiKeys.createForTenant(tenant.id, { name, scopes: ['INFER'] });
      keys[name] = secret;
    }
  } finally {
    await tenancy.close();
    await notifications.close();
    await database.close();
    await owner.end();
  }
  return keys;
}
