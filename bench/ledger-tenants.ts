import type { Database } from '../src/db/database.ts';
import { openNotifications } from '../src/db/notifications.ts';
import { createLogger } from '../src/lib/logger.ts';
import { createTenancy } from '../src/tenants/tenancy.ts';
import { progress } from './service.ts';

/** Tenants without members and keys, as many as a ledger is to have. @returns their ids */
export async function addTenants(database: Database, count: number): Promise<string[]> {
  progress(`making ${count} tenants`);
  const logger = createLogger('warn');
  const notifications = await openNotifications(database.url, logger);
  const tenancy = createTenancy({ database, notifications, logger });
  const ids: string[] = [];
  try {
    for (let n = 0; n < count; n++) {
      const { tenant } = await tenancy.tenants.create({ name: `tenant ${n}`, plan: 'Scale' });
      ids.push(tenant.id);
    }
  } finally {
    await tenancy.close();
    await notifications.close();
  }
  return ids;
}
