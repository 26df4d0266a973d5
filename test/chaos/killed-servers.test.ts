import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { randomFrom } from '../../models/shapes/generator/random.ts';
import { type CrashPoint, instrument } from './crash-points.ts';
import { CrashStage, type RunningServer } from './crash-stage.ts';
import { expectBookedOnce, WishfulClients } from './wishes.ts';

/** Servers killed, in all: `FOVEA_TEST_CHAOS_KILLS=1000` is the long run, in which holds are left to expire by themselves. */
const KILLS = Number(process.env.FOVEA_TEST_CHAOS_KILLS || 50);
const isLong = KILLS >= 1_000;
const SERVERS = 3;
const CLIENTS = 12;
const TIMEOUT_MS = 1_000;
/** A hold's: its request's time and HOLD_OUTLIVES_DEADLINE_MS. */
const TTL_MS = TIMEOUT_MS + 30_000;
/** A server that has not come by its point by then is killed wherever it is. */
const LIVES_MS = 3_000;
/** So many kills of servers to one of the worker, and to one immediate stop of PostgreSQL. */
const KILLS_A_WORKER = 12;
const KILLS_A_DATABASE = 20;
vi.setConfig({ testTimeout: 600_000, hookTimeout: 240_000 + KILLS * 20_000 });

/** All that runs from the reservation of a request to its answer. */
const modules = instrument([
  ...['flusher', 'ledger', 'ledger-statements', 'persist'].map((name) => `src/metering/${name}.ts`),
  ...['service', 'serving', 'booking', 'second-opinion', 'gate'].map((name) => `src/inference/${name}.ts`),
  ...['cache', 'images', 'scheduler', 'tasks'].map((name) => `src/inference/${name}`),
  'src/graphql/plugins',
  'src/graphql/modules/inference',
  'src/graphql/http-app.ts',
  'src/lib/or-aborted.ts',
  'src/lib/tracing/span.ts',
]);
const points = modules.flatMap((module) => module.points);

describe(`${KILLS} servers killed at whatever they were waiting for, under load`, () => {
  let stage: CrashStage;
  let database: pg.Pool;
  let clients: WishfulClients;
  const deaths = { 'at its point': 0, anywhere: 0, 'by itself': 0, 'did not start': 0 };
  const diedAt = new Set<CrashPoint>();
  let databaseStops = 0;
  let workerKills = 0;

  beforeAll(async () => {
    stage = await CrashStage.open({ servers: SERVERS, modules });
    database = stage.superuser();
    // Installs itself, and shows which points requests come by.
    const first = await startAll();
    clients = new WishfulClients(stage, { name: 'wish', count: CLIENTS, timeoutMs: TIMEOUT_MS });
    await delay(3_000);
    for (const server of first) server.kill();
    await Promise.all(first.map(({ ended }) => ended));

    const random = randomFrom(KILLS);
    let queue: CrashPoint[] = [];
    const nextPoint = (): CrashPoint => {
      if (queue.length === 0) queue = Array.from(stage.reached);
      const [point] = queue.splice(random.below(queue.length), 1);
      return point!;
    };
    let begun = 0;
    let disturbances = Promise.resolve();
    await Promise.all(
      Array.from({ length: SERVERS }, async (_, index) => {
        while (begun < KILLS) {
          begun += 1;
          const point = nextPoint();
          const death = await stage.runToDeath(index, point, 1 + random.below(8), LIVES_MS);
          deaths[death] += 1;
          // While PostgreSQL recovers nobody can start.
          if (death === 'did not start' && deaths[death] < KILLS) begun -= 1;
          if (death === 'at its point') diedAt.add(point);
          if (begun % KILLS_A_WORKER === 0) {
            workerKills += 1;
            disturbances = disturbances.then(() => stage.worker.restart());
          }
          if (begun % KILLS_A_DATABASE === 0) {
            databaseStops += Number(stage.stopDatabase('SIGQUIT'));
          }
        }
      }),
    );
    await disturbances;
    await clients.stop();
  });
  afterAll(async () => {
    await database?.end();
    await stage?.close();
  });

  async function startAll(): Promise<RunningServer[]> {
    const [first, ...others] = Array.from({ length: SERVERS }, (_, index) => index);
    // The first one alone, where there is nothing yet.
    const servers = [await stage.start(first!)];
    servers.push(...(await Promise.all(others.map((index) => stage.start(index)))));
    return servers;
  }

  it('was what it says', () => {
    process.stdout.write(
      `${JSON.stringify({ deaths, points: diedAt.size, reached: stage.reached.size, of: points.length, workerKills, databaseStops, wishes: clients.wishes.length })}\n`,
    );
    expect(deaths['at its point'] + deaths.anywhere).toBeGreaterThanOrEqual(KILLS);
    expect(deaths['at its point']).toBeGreaterThanOrEqual(KILLS / 4);
    expect(deaths['by itself']).toBe(0);
    expect(databaseStops).toBeGreaterThan(0);
  });

  it('left holds that are gone when their time is over, and five seconds', async () => {
    const survivors = await startAll();
    if (isLong) await delay(TTL_MS + 5_000);
    else await database.query('UPDATE quota_hold SET expires_at = now()');
    await expect
      .poll(async () => (await database.query('SELECT FROM quota_hold')).rows.length, { timeout: 10_000 })
      .toBe(0);
    // Whoever was not answered asks until it is.
    await clients.askForTheRest();
    for (const server of survivors) server.kill('SIGTERM');
    await Promise.all(survivors.map(({ ended }) => ended));
  });

  it('lost nothing that was answered, booked nothing twice that has a key, and left sums that agree', async () => {
    await expectBookedOnce(database, clients.wishes);
  });
});
