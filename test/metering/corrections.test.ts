import { v7 } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkLedger } from '../../src/metering/check.ts';
import { type Correction, correct } from '../../src/metering/corrections.ts';
import type { Ledger } from '../../src/metering/ledger.ts';
import { UsageReader } from '../../src/metering/usage.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

let fixture: LedgerFixture;
let ledger: Ledger;
beforeAll(async () => {
  fixture = await createLedgerFixture();
  ledger = fixture.openLedger();
});
afterAll(() => fixture.close());

async function book(units: number): Promise<{ tenantId: string; requestId: string }> {
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId, { units });
  await ledger.reserve(held);
  await ledger.commit(booking(held, { images: 2 }));
  return { tenantId, requestId: held.requestId };
}

const giveBack = (of: Pick<Correction, 'tenantId' | 'requestId'>, units: number) =>
  correct(fixture.database.ledger, { ...of, units, reason: 'a blurred camera', author: 'Ada' });

test('what is given back is taken off every sum, and says why and by whom', async () => {
  const booked = await book(10);
  const { id, billed } = await giveBack(booked, 4);
  expect(billed).toBe(6);
  expect(await ledger.quota(booked.tenantId, 100)).toMatchObject({ used: 6, remaining: 94 });
  const hour = { from: new Date(Date.now() - 3_600_000), to: new Date(Date.now() + 3_600_000) };
  const points = await new UsageReader(fixture.database).usage(booked.tenantId, {
    ...hour,
    bucket: 'HOUR',
    groupBy: [],
  });
  expect(points).toMatchObject([{ units: 6, requests: 1, images: 2 }]);
  const { rows } = await fixture.admin.query(
    'SELECT units, corrects, reason, author, model FROM usage_event WHERE request_id = $1',
    [id],
  );
  expect(rows).toEqual([
    {
      units: '-4',
      corrects: booked.requestId,
      reason: 'a blurred camera',
      author: 'Ada',
      model: 'squeezenet',
    },
  ]);
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test('no more is given back than is billed, in parts or at once', async () => {
  const booked = await book(10);
  await expect(giveBack(booked, 11)).rejects.toThrow(
    `Of request ${booked.requestId} 10 units are billed, 11 cannot be given back`,
  );
  await giveBack(booked, 7);
  await expect(giveBack(booked, 4)).rejects.toThrow('3 units are billed');
  expect(await giveBack(booked, 3)).toMatchObject({ billed: 0 });
  await expect(giveBack(booked, 1)).rejects.toThrow('0 units are billed');
  expect(await ledger.quota(booked.tenantId, null)).toMatchObject({ used: 0 });
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test('of many corrections at once no more come through than fit', async () => {
  const booked = await book(10);
  const settled = await Promise.allSettled(Array.from({ length: 8 }, () => giveBack(booked, 3)));
  expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  expect(await ledger.quota(booked.tenantId, null)).toMatchObject({ used: 1 });
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test('made again because its answer was lost, it is made once', async () => {
  const booked = await book(5);
  let lost = 0;
  const forgetful = {
    async query(...args: Parameters<typeof fixture.database.ledger.query>) {
      const answer = await fixture.database.ledger.query(...args);
      if (lost++ === 0) throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
      return answer;
    },
  } as unknown as typeof fixture.database.ledger;
  const made = await correct(forgetful, { ...booked, units: 2, reason: 'r', author: 'a' });
  expect(lost).toBe(2);
  expect(made.billed).toBe(3);
  expect(await ledger.quota(booked.tenantId, null)).toMatchObject({ used: 3 });
});

test.each([
  ['a request that was never booked', async () => ({ ...(await book(1)), requestId: v7() })],
  ["another tenant's request", async () => ({ ...(await book(1)), tenantId: await fixture.newTenant() })],
  [
    'a correction',
    async () => {
      const booked = await book(3);
      return { ...booked, requestId: (await giveBack(booked, 1)).id };
    },
  ],
])('%s is not corrected', async (_, of) => {
  await expect(giveBack(await of(), 1)).rejects.toThrow('Nothing was booked of request');
});

test('what is no id is refused', async () => {
  const { tenantId } = await book(1);
  await expect(giveBack({ tenantId, requestId: '42' }, 1)).rejects.toThrow(
    'Found "42", wanted a request\'s id',
  );
});
