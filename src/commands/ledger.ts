import { OperatorError } from '../lib/errors.ts';
import { checkLedger } from '../metering/check.ts';
import { correct } from '../metering/corrections.ts';
import { withInstallation } from './installation.ts';
import { type OutputOptions, print, table } from './output.ts';
import { tenantNamed } from './tenants.ts';

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

/** Gives units of a billed request back. */
export async function correctRequest(
  requestId: string,
  options: OutputOptions & { tenant: string; units: string; reason: string; author: string },
): Promise<void> {
  const { reason, author } = options;
  const units = Number(options.units);
  if (!Number.isSafeInteger(units) || units < 1)
    throw new OperatorError(`--units: found ${options.units}, wanted a whole number above 0.`, 2);
  requireText('--reason', reason, 1_000);
  requireText('--author', author, 200);
  await withInstallation(async (installation) => {
    const { id: tenantId, name } = await tenantNamed(installation, options.tenant);
    const correction = { tenantId, requestId, units, reason, author };
    const { id, billed } = await correct(installation.database.ledger, correction);
    print(
      options,
      `${units} units are given back to ${name}: of the request ${billed} are still billed. Correction ${id}.`,
      { id, requestId, units, billed },
    );
  });
}

function requireText(option: string, text: string, most: number): void {
  // Tenants open what is exported in spreadsheets, which take this for a formula.
  if (/^[=+\-@\t\r]/.test(text))
    throw new OperatorError(
      `${option}: found ${JSON.stringify(text[0])} at its beginning, wanted a letter or a digit.`,
      2,
    );
  if (text.length < 1 || text.length > most)
    throw new OperatorError(`${option}: found ${text.length} characters, wanted 1 to ${most}.`, 2);
}
