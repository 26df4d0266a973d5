import type { Database } from '../db/database.ts';
import { periodAfter, periodOf } from '../lib/period.ts';
import { type InvoicePreview, type PlanPrice, previewInvoice, type UsageRow } from './invoice-preview.ts';

/** What a tenant's month costs, from what metering wrote. */
export class Invoices {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The bill as it would be if the UTC month of `now` ended with what is booked by then. */
  async preview(tenantId: string, plan: PlanPrice, now: Date): Promise<InvoicePreview> {
    const start = periodOf(now);
    const end = periodAfter(now);
    const usage = await this.#database.asTenant(
      tenantId,
      (tx) => tx.$queryRaw<UsageRow[]>`
        SELECT operation, model, compression, sum(units)::bigint AS units FROM usage_daily
        WHERE tenant_id = ${tenantId}::uuid AND start >= ${start} AND start < ${end}
        GROUP BY operation, model, compression`,
    );
    return previewInvoice(plan, { start, end }, usage);
  }
}
