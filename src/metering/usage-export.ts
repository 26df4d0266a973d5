import type { Database } from '../db/database.ts';
import { Prisma } from '../db/generated/client.ts';
import type { Span } from './buckets.ts';
import { firstRequestId } from './occurred-at.ts';

/** A usage event as it stands in the ledger. */
export interface ExportedEvent {
  readonly requestId: string;
  readonly occurredAt: Date;
  readonly apiKeyId: string | null;
  readonly memberId: string | null;
  readonly operation: string;
  readonly model: string;
  readonly version: number;
  readonly compression: string;
  readonly images: number;
  readonly errors: number;
  readonly cachedImages: number;
  /** Below 0: given back. */
  readonly units: bigint;
  readonly latencyMs: number;
  /** The request whose units are given back; null: this is a request. */
  readonly corrects: string | null;
  readonly reason: string | null;
  readonly author: string | null;
}

/** Rows of one page, and so in memory at once: some two megabytes. */
const PAGE_ROWS = 2_000;

/** Reads a tenant's events one page after the other, each in a transaction of its own: whoever reads slowly keeps none open. */
export class UsageExport {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Pages of all events that occurred in `span`: requests in the order of their ids, hence of time, and then what was given back of
   * them, in the order in which it was. What is booked meanwhile may be missing: exact is a span whose requests are all over.
   */
  async *pages(tenantId: string, span: Span): AsyncGenerator<ExportedEvent[], void> {
    const requests = Prisma.sql`corrects IS NULL AND request_id < ${firstRequestId(span.to)}::uuid`;
    for (const kind of [requests, Prisma.sql`corrects IS NOT NULL`]) {
      let after = firstRequestId(span.from);
      let page: ExportedEvent[];
      do {
        page = await this.#page(tenantId, span, kind, after);
        if (page.length > 0) yield page;
        after = page.at(-1)?.requestId ?? after;
      } while (page.length === PAGE_ROWS);
    }
  }

  #page(tenantId: string, { from, to }: Span, kind: Prisma.Sql, after: string): Promise<ExportedEvent[]> {
    return this.#database.asTenant(
      tenantId,
      (tx) => tx.$queryRaw<ExportedEvent[]>`
        SELECT request_id AS "requestId", occurred_at AS "occurredAt", api_key_id AS "apiKeyId", member_id AS "memberId",
               operation, model, version, compression, images, errors, cached_images AS "cachedImages", units,
               latency_ms AS "latencyMs", corrects, reason, author
        FROM usage_event
        WHERE tenant_id = ${tenantId}::uuid AND request_id > ${after}::uuid AND ${kind}
          AND occurred_at >= ${from} AND occurred_at < ${to}
        ORDER BY request_id LIMIT ${PAGE_ROWS}`,
    );
  }
}
