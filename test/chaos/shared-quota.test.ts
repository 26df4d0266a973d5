import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { randomFrom } from '../../models/shapes/generator/random.ts';
import { openDatabase } from '../../src/db/database.ts';
import { openNotifications } from '../../src/db/notifications.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { checkLedger } from '../../src/metering/check.ts';
import { createTenancy } from '../../src/tenants/tenancy.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { CrashStage, type RunningServer } from './crash-stage.ts';

/** `FOVEA_TEST_QUOTA_RUNS=10` is the long run: as often, with ten times the quota. */
const LONG_RUNS = Number(process.env.FOVEA_TEST_QUOTA_RUNS || 0);
const [RUNS, UNITS, CLIENTS] = LONG_RUNS > 0 ? [LONG_RUNS, 20_000, 1_000] : [1, 2_000, 100];
const SERVERS = 3;
vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 });

let stage: CrashStage;
let servers: RunningServer[];
let database: pg.Pool;
let picture: { base64: string };
beforeAll(async () => {
  // What the cache answers costs as much here, and takes no worker's time.
  stage = await CrashStage.open({ servers: SERVERS, environment: () => ({ FOVEA_CACHED_UNITS: 'full' }) });
  servers = [await stage.start(0)];
  for (let index = 1; index < SERVERS; index++) servers.push(await stage.start(index));
  database = stage.superuser();
  const create = { width: 16, height: 16, channels: 3, background: 'red' } as const;
  picture = { base64: (await sharp({ create }).png().toBuffer()).toString('base64') };
});
afterAll(async () => {
  for (const server of servers ?? []) server.kill('SIGTERM');
  await Promise.all((servers ?? []).map(({ ended }) => ended));
  await database?.end();
  await stage?.close();
});

/** A tenant with a hard limit of so many units a month, and no other that it would meet. */
async function tenantWith(units: number, name: string): Promise<{ id: string; key: string }> {
  await database.query(
    `INSERT INTO plan (id, name, version, monthly_units, hard_limit, points_per_second, burst, concurrency, weight,
                       base_cents, included_units, unit_amount_decimal)
       VALUES (gen_random_uuid(), $1, 1, $2, true, 1000000, 1000000, 100000, 1, 0, 0, 0)`,
    [name, units],
  );
  const logger = createLogger('silent');
  const own = openDatabase(stage.databaseUrl, { poolSize: 2 });
  const notifications = await openNotifications(stage.databaseUrl, logger);
  const tenancy = createTenancy({ database: own, notifications, logger });
  try {
    const { tenant } = await tenancy.tenants.create({ name, plan: name });
    const { secret } = await tenancy.apiKeys.createForTenant(tenant.id, { name, scopes: ['INFER'] });
    return { id: tenant.id, key: secret };
  } finally {
    await tenancy.close();
    await notifications.close();
    await own.close();
  }
}

it.each(Array.from({ length: RUNS }, (_, run) => run + 1))(
  `${CLIENTS} clients of three servers get exactly the ${UNITS} units of their quota (run %i)`,
  async (run) => {
    const { id, key } = await tenantWith(UNITS, `run ${run}`);
    const clients = stage.urls.map((url) => new GraphqlClient(url, key));
    let answered = 0;
    const refusals = new Set<unknown>();

    /** Asks for one to eight pictures at a time, then for one: until not even that is left. */
    const ask = async (n: number) => {
      const random = randomFrom(run * 10_000 + n);
      for (let most = 8; most > 0; ) {
        const images = Array(1 + random.below(most)).fill(picture);
        const { data, errors } = await clients[n % SERVERS]!.classify({ images, timeoutMs: 60_000 });
        answered += data?.classify.receipt.units ?? 0;
        const { code, remaining, retryAfterMs } = errors[0]?.extensions ?? {};
        if (code) refusals.add(code);
        if (code === 'OVERLOADED') await delay(Number(retryAfterMs));
        // What others hold may come back: nothing is over before nothing is left.
        if (code === 'QUOTA_EXCEEDED') most = Number(remaining) > 0 ? 1 : 0;
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, (_, n) => ask(n)));

    expect(answered).toBe(UNITS);
    expect([...refusals].filter((code) => !['QUOTA_EXCEEDED', 'OVERLOADED'].includes(String(code)))).toEqual(
      [],
    );
    const { rows } = await database.query('SELECT used, reserved FROM quota_counter WHERE tenant_id = $1', [
      id,
    ]);
    expect(rows).toEqual([{ used: String(UNITS), reserved: '0' }]);
    expect(await checkLedger(database)).toEqual([]);
  },
);
