import { v7 } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Invoices } from '../../src/billing/invoices.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from '../metering/ledger-fixture.ts';

const plan = {
  name: 'Scale',
  version: 1,
  currency: 'usd',
  baseCents: 0n,
  includedUnits: 100n,
  unitAmountDecimal: '0.5',
};

let fixture: LedgerFixture;
beforeAll(async () => {
  fixture = await createLedgerFixture();
});
afterAll(() => fixture.close());

test("a month is billed from the ledger: its own tenant's, from its first millisecond to its last", async () => {
  const ledger = fixture.openLedger();
  const now = new Date();
  const start = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
  const end = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 2, 1);
  const [tenantId, stranger] = [await fixture.newTenant(), await fixture.newTenant()];
  const book = async (of: string, msecs: number, model: string, units: number) => {
    const held = reservation(of, { requestId: v7({ msecs }), units });
    await ledger.reserve(held);
    expect((await ledger.commit(booking(held, { model }))).kind).toBe('booked');
  };
  await book(tenantId, start - 1, 'a', 1_000);
  await book(tenantId, start, 'a', 70);
  await book(tenantId, end - 1, 'b', 41);
  await book(tenantId, end, 'b', 1_000);
  await book(stranger, start, 'a', 1_000);

  expect(await new Invoices(fixture.database).preview(tenantId, plan, new Date(start + 5))).toEqual({
    periodStart: new Date(start),
    periodEnd: new Date(end),
    currency: 'usd',
    totalCents: 6n,
    lines: [
      {
        description: 'Units included in the plan (of 100)',
        units: 100n,
        unitAmountDecimal: '0',
        amountCents: 0n,
      },
      {
        description: 'CLASSIFY with b, beyond the included units',
        units: 11n,
        unitAmountDecimal: '0.5',
        amountCents: 6n,
      },
    ],
  });
});
