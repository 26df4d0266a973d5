import { openDatabase } from '../../src/db/database.ts';
import { countBy, sumOf } from '../load/figures.ts';
import type { Sample } from '../load/stream.ts';
import { command } from '../processes.ts';
import type { Stage } from '../stage.ts';

/** Units that clients hold receipts for, against those that were booked, of one tenant. */
export interface Books {
  readonly tenant: string;
  readonly served: number;
  readonly billed: number;
}

/** What tenants' clients were answered. */
export class Tally {
  readonly #outcomes = new Map<string, Map<string, number>>();
  readonly #units = new Map<string, number>();

  add(tenant: string, samples: readonly Sample[]): void {
    const outcomes = this.#outcomes.get(tenant) ?? new Map<string, number>();
    this.#outcomes.set(tenant, outcomes);
    for (const [outcome, times] of Object.entries(countBy(samples, ({ outcome }) => outcome)))
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + times);
    const units = sumOf(samples.map(({ receipt }) => receipt?.units ?? 0));
    this.#units.set(tenant, (this.#units.get(tenant) ?? 0) + units);
  }

  /** Requests by tenant and by what came of them. */
  get outcomes(): Record<string, Record<string, number>> {
    return Object.fromEntries(
      [...this.#outcomes].map(([name, counts]) => [name, Object.fromEntries(counts)]),
    );
  }

  async compareWithLedger({ databaseUrl }: Stage): Promise<Books[]> {
    const database = openDatabase(databaseUrl, { poolSize: 1 });
    try {
      const books: Books[] = [];
      for (const [tenant, served] of this.#units) {
        const row = await database.presenting(tenant, (tx) =>
          tx.tenant.findUnique({ where: { name: tenant } }),
        );
        const { rows } = await database.ledger.query<{ units: string | null }>(
          'SELECT sum(units) AS units FROM usage_event WHERE tenant_id = $1',
          [row!.id],
        );
        books.push({ tenant, served, billed: Number(rows[0]!.units ?? 0) });
      }
      return books;
    } finally {
      await database.close();
    }
  }
}

/** Whether `ledger check` finds that events, counters, roll-ups and holds agree. */
export async function isLedgerExact(stage: Stage): Promise<boolean> {
  // It exits with 1 where they do not.
  const text = await command(stage.environment, 'ledger', 'check', '--json').catch(
    (error: { stdout?: string }) => error.stdout ?? '',
  );
  return text !== '' && (JSON.parse(text) as { exact: boolean }).exact;
}
