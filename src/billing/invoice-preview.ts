import { amountOf, formatCents, parseCents } from './decimal-cents.ts';

/** One version of a plan, as far as it is a price list. */
export interface PlanPrice {
  readonly name: string;
  readonly version: number;
  readonly currency: string;
  /** A month, whatever is used. */
  readonly baseCents: bigint;
  readonly includedUnits: bigint;
  /** Cents a unit beyond the included, as a decimal number of at most twelve places. */
  readonly unitAmountDecimal: string;
}

export interface BillingPeriod {
  readonly start: Date;
  /** Exclusive. */
  readonly end: Date;
}

/** Units of one kind of work. Several rows of one kind count as their sum. */
export interface UsageRow {
  readonly operation: string;
  readonly model: string;
  readonly compression: string;
  readonly units: bigint;
}

export interface InvoiceLine {
  readonly description: string;
  readonly units: bigint;
  /** Cents a unit. */
  readonly unitAmountDecimal: string;
  /** units × unitAmountDecimal, half a cent rounded up. */
  readonly amountCents: bigint;
}

export interface InvoicePreview {
  readonly periodStart: Date;
  readonly periodEnd: Date;
  readonly currency: string;
  /** The sum of the lines. */
  readonly totalCents: bigint;
  readonly lines: readonly InvoiceLine[];
}

/**
 * Rates a period's usage by a plan. Kinds of work stand in alphabetical order (operation, model, compression), and the included
 * units are consumed in that order: since a unit costs the same whatever it was used for, the order decides only which lines
 * show the rest. Each line is exact and rounded once, half a cent up; nothing is rounded before or after, so a reader
 * can check every line, and the total by adding them. The order in which usage is handed in, or split into rows, changes
 * nothing, and more usage never costs less.
 */
export function previewInvoice(
  plan: PlanPrice,
  period: BillingPeriod,
  usage: readonly UsageRow[],
): InvoicePreview {
  const price = parseCents(plan.unitAmountDecimal);
  const lines: InvoiceLine[] = [];
  if (plan.baseCents > 0n)
    lines.push(line(`${plan.name} plan, one month`, 1n, parseCents(`${plan.baseCents}`)));

  let included = plan.includedUnits;
  const beyond: InvoiceLine[] = [];
  for (const { operation, model, compression, units } of summed(usage)) {
    const paid = units > included ? units - included : 0n;
    included -= units - paid;
    if (paid === 0n) continue;
    const what = `${operation} with ${model}${compression === 'NONE' ? '' : `, ${compression}`}`;
    beyond.push(line(plan.includedUnits > 0n ? `${what}, beyond the included units` : what, paid, price));
  }
  if (plan.includedUnits > 0n) {
    lines.push(
      line(`Units included in the plan (of ${plan.includedUnits})`, plan.includedUnits - included, 0n),
    );
  }
  lines.push(...beyond);

  return {
    periodStart: period.start,
    periodEnd: period.end,
    currency: plan.currency,
    totalCents: lines.reduce((total, { amountCents }) => total + amountCents, 0n),
    lines,
  };
}

function line(description: string, units: bigint, price: bigint): InvoiceLine {
  return { description, units, unitAmountDecimal: formatCents(price), amountCents: amountOf(units, price) };
}

/** One row a kind of work, in the order that the invoice is written in. */
function summed(usage: readonly UsageRow[]): UsageRow[] {
  const rows = new Map<string, UsageRow>();
  for (const row of usage) {
    const kind = JSON.stringify([row.operation, row.model, row.compression]);
    rows.set(kind, { ...row, units: row.units + (rows.get(kind)?.units ?? 0n) });
  }
  // By code units, not by a locale: an invoice computed again on another machine reads the same.
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}
