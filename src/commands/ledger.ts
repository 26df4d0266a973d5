import { checkLedger } from '../metering/check.ts';
import { withInstallation } from './installation.ts';
import { type OutputOptions, print, table } from './output.ts';

/** Exits with 1 where a sum is not what the events say. */
export async function checkTheLedger(options: OutputOptions): Promise<void> {
  await withInstallation(async ({ database }) => {
    const drifts = await checkLedger(database.ledger);
    const rows = drifts.map(({ tenantId, period, sum, measure, expected, found }) => [
      tenantId,
      period.toISOString(),
      sum,
      measure,
      String(expected),
      String(found),
    ]);
    const text =
      drifts.length === 0
        ? 'Exact: events, counters, roll-ups and holds agree.'
        : table(['TENANT', 'PERIOD', 'SUM', 'MEASURE', 'EXPECTED', 'FOUND'], rows);
    const json = drifts.map((drift) => ({
      ...drift,
      expected: String(drift.expected),
      found: String(drift.found),
    }));
    print(options, text, { exact: drifts.length === 0, drifts: json });
    if (drifts.length > 0) process.exitCode = 1;
  });
}
