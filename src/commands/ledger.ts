import { OperatorError } from '../lib/errors.ts';
import { checkLedger, type Drift, mostDrifts } from '../metering/check.ts';
import { correct } from '../metering/corrections.ts';
import { withInstallation } from './installation.ts';
import { type OutputOptions, print, table } from './output.ts';
import { progress } from './progress.ts';
import { tenantNamed } from './tenants.ts';

/** Exits with 1 where a sum is not what the events say. */
export async function checkTheLedger(options: OutputOptions & { from?: string; to?: string }): Promise<void> {
  const [from, to] = [timeOf('--from', options.from), timeOf('--to', options.to)];
  if (from && to && from >= to)
    throw new OperatorError(`--from: found ${options.from}, wanted a time before --to, ${options.to}.`, 2);
  await withInstallation(async ({ database }) => {
    const waiting = progress(options);
    let months = 0;
    const onMonth = (month: Date) => {
      months += 1;
      waiting.tell(`checking ${month.toISOString().slice(0, 7)}`);
    };
    const drifts = await checkLedger(database.ledger, { from, to, onMonth }).finally(waiting.end);
    if (months === 0)
      throw new OperatorError('The ledger has no month from --from to --to: nothing was checked.');
    print(options, inWords(drifts, months), { exact: drifts.length === 0, months, drifts });
    if (drifts.length > 0) process.exitCode = 1;
  });
}

function inWords(drifts: readonly Drift[], months: number): string {
  if (drifts.length === 0)
    return `Exact: events, counters, roll-ups and holds agree, in ${months} ${months === 1 ? 'month' : 'months'}.`;
  const header = [
    'TENANT',
    'SUM',
    'START',
    'KEY',
    'OPERATION',
    'MODEL',
    'COMPRESSION',
    'MEASURE',
    'EXPECTED',
    'FOUND',
  ];
  const rows = drifts.map((drift) => [
    ...[drift.tenantId, drift.sum, drift.start.toISOString()],
    ...[drift.apiKeyId, drift.operation, drift.model, drift.compression].map((value) => value ?? '-'),
    ...[drift.measure, drift.expected || '-', drift.found || '-'],
  ]);
  const more = drifts.length === mostDrifts ? `\nThese are the first ${mostDrifts}.` : '';
  return table(header, rows) + more;
}

function timeOf(option: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  // Any other form is taken to be of this machine's time zone.
  if (/^\d{4}-\d{2}(-\d{2}(T.+Z)?)?$/.test(text) && !Number.isNaN(time.getTime())) return time;
  throw new OperatorError(
    `${option}: found ${text}, wanted a month, a day or a time in UTC: 2026-11, 2026-11-01, 2026-11-01T00:00:00Z.`,
    2,
  );
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
