import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { checkLedger } from '../../src/metering/check.ts';
import { type LossyProxy, openLossyProxy } from '../support/lossy-proxy.ts';
import { booking, createLedgerFixture, type LedgerFixture, reservation } from './ledger-fixture.ts';

let fixture: LedgerFixture;
let proxy: LossyProxy;
beforeAll(async () => {
  fixture = await createLedgerFixture();
  proxy = await openLossyProxy(fixture.url);
});
afterAll(async () => {
  await fixture.close();
  await proxy.close();
});

const countEvents = async (tenantId: string) =>
  (await fixture.admin.query('SELECT FROM usage_event WHERE tenant_id = $1', [tenantId])).rowCount;

test('bad data fails its own sender, and no neighbour in the same flush', async () => {
  const ledger = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  const good = Array.from({ length: 10 }, () => reservation(tenantId));
  const unknownTenant = reservation('00000000-0000-7000-8000-00000000dead');
  const beforePartitions = reservation(tenantId, { requestId: '00e0f1e0-0000-7000-8000-000000000000' });
  const reserved = await Promise.allSettled(
    [...good, unknownTenant, beforePartitions].map((each) => ledger.reserve(each)),
  );
  expect(reserved.map(({ status }) => status)).toEqual([
    ...Array(10).fill('fulfilled'),
    'rejected',
    'fulfilled',
  ]);

  const commits = await Promise.allSettled([
    ...good.slice(0, 8).map((each) => ledger.commit(booking(each))),
    ledger.commit(booking(good[8]!, { model: 'not\u0000text' })),
    ledger.commit(booking(good[9]!, { images: -1 })),
    ledger.commit(booking(beforePartitions)),
  ]);
  expect(commits.map(({ status }) => status)).toEqual([
    ...Array(8).fill('fulfilled'),
    ...Array(3).fill('rejected'),
  ]);
  expect(await countEvents(tenantId)).toBe(8);
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test('what cannot be serialised fails its own sender', async () => {
  const ledger = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  const [held, other] = [reservation(tenantId), reservation(tenantId)];
  await Promise.all([ledger.reserve(held), ledger.reserve(other)]);
  const idempotency = { key: 'k', requestHash: new Uint8Array(32), answer: 1n };
  const [spoilt, fine] = await Promise.allSettled([
    ledger.commit(booking(held, { idempotency })),
    ledger.commit(booking(other)),
  ]);
  expect([spoilt.status, fine.status]).toEqual(['rejected', 'fulfilled']);
  await expect(ledger.reserve({ ...held, requestId: 'request 7' })).rejects.toThrow('expected a UUIDv7');
});

test('a commit whose answer is lost after it was carried out is acknowledged, and booked once', async () => {
  const ledger = fixture.openLedger(proxy.url);
  const tenantId = await fixture.newTenant();
  const held = Array.from({ length: 5 }, () => reservation(tenantId));
  await Promise.all(held.map((each) => ledger.reserve(each)));
  proxy.swallowAnswerTo('fovea_commit');
  const outcomes = await Promise.all(held.map((each) => ledger.commit(booking(each))));
  expect(proxy.swallowed).toBe(1);
  expect(outcomes).toMatchObject(Array(5).fill({ kind: 'booked', used: 20, reserved: 0 }));
  expect(await countEvents(tenantId)).toBe(5);
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
});

test('a commit that finds no hold stays refused, although its connection is lost on the way', async () => {
  const ledger = fixture.openLedger(proxy.url);
  const tenantId = await fixture.newTenant();
  const [held, released] = [reservation(tenantId), reservation(tenantId)];
  await Promise.all([ledger.reserve(held), ledger.reserve(released)]);
  await ledger.release(released.requestId, tenantId);
  proxy.swallowAnswerTo('fovea_commit');
  expect(await Promise.all([ledger.commit(booking(held)), ledger.commit(booking(released))])).toMatchObject([
    { kind: 'booked' },
    { kind: 'no-hold' },
  ]);
});

test('a reservation whose answer is lost is admitted, and held once', async () => {
  const ledger = fixture.openLedger(proxy.url);
  const tenantId = await fixture.newTenant();
  const key = { key: 'k', requestHash: new Uint8Array(32) };
  const held = reservation(tenantId, { limit: 4, hardLimit: true, idempotency: key });
  proxy.swallowAnswerTo('fovea_reserve');
  expect(await ledger.reserve(held)).toEqual({ kind: 'admitted' });
  expect(await ledger.quota(tenantId, null)).toMatchObject({ reserved: 4 });
});

test('statements whose connection falls silent are sent again: held, booked, read and released once each', async () => {
  const ledger = fixture.openLedger(proxy.url);
  const tenantId = await fixture.newTenant();
  const [held, released] = [reservation(tenantId), reservation(tenantId)];
  proxy.muteAt('fovea_reserve');
  expect(await Promise.all([held, released].map((each) => ledger.reserve(each)))).toEqual(
    Array(2).fill({ kind: 'admitted' }),
  );
  proxy.muteAt('fovea_release');
  await ledger.release(released.requestId, tenantId);
  proxy.muteAt('FROM quota_counter');
  expect(await ledger.quota(tenantId, 10)).toMatchObject({ reserved: 4 });
  proxy.muteAt('fovea_commit');
  expect(await ledger.commit(booking(held))).toMatchObject({ kind: 'booked', used: 4, reserved: 0 });
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
}, 30_000);

test('the sweeper and the end get over a connection that falls silent', async () => {
  const ledger = fixture.openLedger(proxy.url);
  ledger.startSweeping();
  proxy.muteAt('fovea_sweep_holds');
  await vi.waitUntil(() => proxy.muted === 1, { timeout: 10_000 });
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId, { ttlMs: 1 });
  await ledger.reserve(held);
  await vi.waitUntil(async () => (await ledger.quota(tenantId, null)).reserved === 0, { timeout: 20_000 });

  proxy.muteAt('fovea_sweep_holds');
  await vi.waitUntil(() => proxy.muted === 1, { timeout: 10_000 });
  await ledger.close();
}, 60_000);

test('while the database is out of reach everyone gets an error, and nothing is booked twice later', async () => {
  const away = await openLossyProxy(fixture.url);
  const ledger = fixture.openLedger(away.url);
  const tenantId = await fixture.newTenant();
  const held = reservation(tenantId);
  await ledger.reserve(held);
  await away.close();
  const [reserved, released, committed] = await Promise.allSettled([
    ledger.reserve(reservation(tenantId)),
    ledger.release(held.requestId, tenantId),
    ledger.commit(booking(held)),
  ]);
  expect([reserved.status, released.status, committed.status]).toEqual(['rejected', 'rejected', 'rejected']);
  expect((await fixture.openLedger().commit(booking(held))).kind).toBe('booked');
});

test('connections cut again and again: every caller is answered, and what was acknowledged is what is booked', async () => {
  const ledgers = [fixture.openLedger(), fixture.openLedger()];
  const tenants = [await fixture.newTenant(), await fixture.newTenant(), await fixture.newTenant()];
  let cuts = 0;
  let finished = false;
  const cutting = (async () => {
    while (!finished) {
      const { rowCount } = await fixture.admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'fovea_ledger'`,
      );
      cuts += rowCount ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60));
    }
  })();

  const acknowledged = new Set<string>();
  const unknown = new Set<string>();
  const callers = Array.from({ length: 40 }, async (_, caller) => {
    const ledger = ledgers[caller % 2]!;
    // A fast machine is through with fifteen before there was much to survive.
    for (let round = 0; round < 15 || cuts <= 10; round++) {
      const held = reservation(tenants[(caller + round) % 3]!);
      const reserved = await ledger.reserve(held).catch(() => null);
      if (round % 5 === 0) await ledger.release(held.requestId, held.tenantId).catch(() => {});
      else if (reserved) {
        const outcome = await ledger.commit(booking(held)).catch(() => null);
        if (outcome === null) unknown.add(held.requestId);
        else if (outcome.kind === 'booked') acknowledged.add(held.requestId);
      }
    }
  });
  await Promise.all(callers).finally(() => {
    finished = true;
  });
  await cutting;

  expect(cuts).toBeGreaterThan(10);
  const { rows } = await fixture.admin.query(
    'SELECT request_id FROM usage_event WHERE tenant_id = ANY ($1)',
    [tenants],
  );
  const booked = rows.map(({ request_id }) => request_id).filter((id) => !unknown.has(id));
  expect(new Set(booked)).toEqual(acknowledged);
  expect(acknowledged.size).toBeGreaterThan(300);
  expect(await checkLedger(fixture.database.ledger)).toEqual([]);
}, 60_000);

test('a quota is read again where its connection breaks', async () => {
  const ledger = fixture.openLedger();
  const tenantId = await fixture.newTenant();
  await ledger.reserve(reservation(tenantId));
  const locking = await fixture.admin.connect();
  try {
    await locking.query('BEGIN; LOCK TABLE quota_counter IN ACCESS EXCLUSIVE MODE');
    const quota = ledger.quota(tenantId, 10);
    const cutOff = async () => {
      // Not by the connection that locks: within its transaction it would see the same activity for ever.
      const cut = await fixture.admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM quota_counter%'`,
      );
      return cut.rowCount === 1;
    };
    await vi.waitUntil(cutOff, { timeout: 20_000 });
    await locking.query('ROLLBACK');
    expect(await quota).toMatchObject({ limit: 10, used: 0, reserved: 4, remaining: 6 });
  } finally {
    locking.release();
  }
});

test('a statement that nobody waits for any more ends, although it waits for a lock', async () => {
  const ledger = fixture.openLedger();
  const held = reservation(await fixture.newTenant());
  await ledger.reserve(held);
  const locking = await fixture.admin.connect();
  const waiting = async () => {
    const { rowCount } = await fixture.admin.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rowCount;
  };
  try {
    await locking.query('BEGIN');
    await locking.query('SELECT FROM quota_counter WHERE tenant_id = $1 FOR UPDATE', [held.tenantId]);
    const refused = expect(ledger.commit(booking(held))).rejects.toThrow('timeout');
    await vi.waitUntil(async () => (await waiting()) === 1, { timeout: 10_000 });
    await refused;
    await vi.waitUntil(async () => (await waiting()) === 0, { timeout: 10_000 });
  } finally {
    await locking.query('ROLLBACK');
    locking.release();
  }
  expect(await ledger.commit(booking(held))).toMatchObject({ kind: 'booked', used: 4 });
}, 60_000);
