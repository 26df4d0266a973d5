import { describe, expect, test } from 'vitest';
import { type PlanPrice, previewInvoice, type UsageRow } from '../../src/billing/invoice-preview.ts';

const period = { start: new Date('2026-11-01T00:00:00Z'), end: new Date('2026-12-01T00:00:00Z') };
const pro: PlanPrice = {
  name: 'Pro',
  version: 1,
  currency: 'usd',
  baseCents: 4_900n,
  includedUnits: 1_000n,
  unitAmountDecimal: '0.008000000000',
};
const scale: PlanPrice = {
  ...pro,
  name: 'Scale',
  baseCents: 0n,
  includedUnits: 0n,
  unitAmountDecimal: '0.005',
};
const row = (model: string, units: bigint, compression = 'NONE', operation = 'CLASSIFY'): UsageRow => ({
  operation,
  model,
  compression,
  units,
});

test('nothing used costs the base fee', () => {
  expect(previewInvoice(pro, period, [])).toEqual({
    periodStart: period.start,
    periodEnd: period.end,
    currency: 'usd',
    totalCents: 4_900n,
    lines: [
      { description: 'Pro plan, one month', units: 1n, unitAmountDecimal: '4900', amountCents: 4_900n },
      {
        description: 'Units included in the plan (of 1000)',
        units: 0n,
        unitAmountDecimal: '0',
        amountCents: 0n,
      },
    ],
  });
});

test('included units are consumed in alphabetical order of the kinds of work', () => {
  const { lines, totalCents } = previewInvoice(pro, period, [
    row('yolox', 500n, 'INT8', 'DETECT'),
    row('squeezenet', 900n),
    row('mobilenet', 300n),
  ]);
  expect(lines.slice(1)).toEqual([
    {
      description: 'Units included in the plan (of 1000)',
      units: 1_000n,
      unitAmountDecimal: '0',
      amountCents: 0n,
    },
    {
      description: 'CLASSIFY with squeezenet, beyond the included units',
      units: 200n,
      unitAmountDecimal: '0.008',
      amountCents: 2n, // 1.6
    },
    {
      description: 'DETECT with yolox, INT8, beyond the included units',
      units: 500n,
      unitAmountDecimal: '0.008',
      amountCents: 4n, // exact
    },
  ]);
  expect(totalCents).toBe(4_906n);
});

test('a plan that includes nothing and has no base fee bills use alone', () => {
  expect(previewInvoice(scale, period, [row('squeezenet', 12_345n)]).lines).toEqual([
    { description: 'CLASSIFY with squeezenet', units: 12_345n, unitAmountDecimal: '0.005', amountCents: 62n }, // 61.725
  ]);
});

test.each([
  [99n, 0n], // 0.495
  [100n, 1n], // 0.5: half a cent is rounded up
  [101n, 1n],
  [299n, 1n], // 1.495
  [300n, 2n], // 1.5
])('%d units at 0.005 cents are %d cents', (units, cents) => {
  expect(previewInvoice(scale, period, [row('squeezenet', units)]).totalCents).toBe(cents);
});

test('amounts beyond what a double holds stay exact', () => {
  const plan = { ...scale, unitAmountDecimal: '0.000000000001' };
  expect(previewInvoice(plan, period, [row('m', 9_007_199_254_740_993_000_000_000_000n)]).totalCents).toBe(
    9_007_199_254_740_993n,
  );
});

test.each(['', '.5', '-1', '1e-9', '0.1234567890123', '1,5'])(
  'a price of "%s" is refused',
  (unitAmountDecimal) => {
    expect(() => previewInvoice({ ...pro, unitAmountDecimal }, period, [])).toThrow(RangeError);
  },
);

describe('whatever was used', () => {
  let state = 20_261_101;
  /** A whole number below `bound`: the same ones in every run (mulberry32). */
  function random(bound: number): number {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * bound);
  }
  const randomRow = () =>
    row(
      `m${random(4)}`,
      BigInt(random(3_000)),
      ['NONE', 'INT8'][random(2)]!,
      ['CLASSIFY', 'DETECT'][random(2)]!,
    );
  const cases = Array.from({ length: 300 }, () => ({
    plan: {
      ...pro,
      baseCents: BigInt(random(3) * 1_000),
      includedUnits: BigInt(random(3) * random(4_000)),
      unitAmountDecimal: `${random(2)}.${String(random(10 ** 9)).padStart(9, '0')}`,
    },
    usage: Array.from({ length: random(8) }, randomRow),
  }));
  const total = (plan: PlanPrice, usage: UsageRow[]) => previewInvoice(plan, period, usage).totalCents;

  test('the total is the sum of the lines, and the lines bill every unit once', () => {
    for (const { plan, usage } of cases) {
      const { lines, totalCents } = previewInvoice(plan, period, usage);
      expect(lines.reduce((sum, { amountCents }) => sum + amountCents, 0n)).toBe(totalCents);
      const units = lines.reduce((sum, line) => sum + line.units, 0n) - (plan.baseCents > 0n ? 1n : 0n);
      expect(units).toBe(usage.reduce((sum, each) => sum + each.units, 0n));
    }
  });

  test('each line is within half a cent of its exact amount', () => {
    for (const { plan, usage } of cases) {
      for (const { units, unitAmountDecimal, amountCents } of previewInvoice(plan, period, usage).lines) {
        const [whole, fraction = ''] = unitAmountDecimal.split('.');
        const exact = units * BigInt(whole! + fraction.padEnd(12, '0'));
        const off = amountCents * 10n ** 12n - exact;
        expect(off > -5n * 10n ** 11n && off <= 5n * 10n ** 11n).toBe(true);
      }
    }
  });

  test('the order of the rows changes nothing', () => {
    for (const { plan, usage } of cases) {
      const shuffled = usage.toSorted(() => random(2) - 0.5);
      expect(previewInvoice(plan, period, shuffled)).toEqual(previewInvoice(plan, period, usage));
    }
  });

  test('a row split in two changes nothing', () => {
    for (const { plan, usage } of cases) {
      const split = usage.flatMap((each) => {
        const part = BigInt(random(Number(each.units) + 1));
        return [
          { ...each, units: part },
          { ...each, units: each.units - part },
        ];
      });
      expect(previewInvoice(plan, period, split)).toEqual(previewInvoice(plan, period, usage));
    }
  });

  test('more usage never costs less', () => {
    for (const { plan, usage } of cases) {
      expect(total(plan, [...usage, randomRow()])).toBeGreaterThanOrEqual(total(plan, usage));
    }
  });

  test('use within what is included costs the base fee alone', () => {
    for (const { plan, usage } of cases) {
      const includedUnits = usage.reduce((sum, each) => sum + each.units, 0n);
      expect(total({ ...plan, includedUnits }, usage)).toBe(plan.baseCents);
    }
  });
});
