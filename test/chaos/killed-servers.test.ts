import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Random, randomFrom } from '../../models/shapes/generator/random.ts';
import { isUnavailable } from '../../src/db/unavailable.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { type LossyProxy, openLossyProxy } from '../support/lossy-proxy.ts';
import { SpoiltWorker } from '../support/spoilt-worker.ts';
import { awaitingModules, type CrashPoint, instrument, replaceModule } from './crash-points.ts';
import { CrashStage, type LoggedError, type RunningServer } from './crash-stage.ts';
import {
  allSortsOfPictures,
  loseAnswersToCommits,
  makeMoody,
  mintToken,
  openPictureHost,
  refuseRowsNowAndThen,
  watchAll,
} from './hardships.ts';
import { expectBookedOnce, type Picture, WishfulClients } from './wishes.ts';

/** Servers killed, in all: `FOVEA_TEST_CHAOS_KILLS=1000` is the long run, in which holds are left to expire by themselves. */
const KILLS = Number(process.env.FOVEA_TEST_CHAOS_KILLS || 50);
const isLong = KILLS >= 1_000;
const SERVERS = 3;
const CLIENTS = isLong ? 6 : 4;
const TIMEOUT_MS = 1_000;
/** A hold's: its request's time and HOLD_OUTLIVES_DEADLINE_MS. */
const TTL_MS = TIMEOUT_MS + 30_000;
/** A server that has not come by its point by then is killed wherever it is. */
const LIVES_MS = 2_000;
/** Every other server whose time is over is asked to end, and killed some time within this if it is still there. */
const ENDS_MS = 3_000;
/** So many lives of servers to one of the worker, and to one immediate stop of PostgreSQL. */
const LIVES_A_WORKER = 12;
const LIVES_A_DATABASE = 20;
vi.setConfig({ testTimeout: 600_000, hookTimeout: 240_000 + KILLS * 20_000 });

/** All that runs from the reservation of a request to its answer. */
const modules = instrument([
  ...['flusher', 'ledger', 'ledger-statements', 'persist'].map((name) => `src/metering/${name}.ts`),
  ...['service', 'serving', 'booking', 'second-opinion', 'gate'].map((name) => `src/inference/${name}.ts`),
  ...['cache', 'images', 'scheduler', 'tasks'].map((name) => `src/inference/${name}`),
  ...['keyed-mutex', 'safe-fetch', 'tracing/span'].map((name) => `src/lib/${name}.ts`),
  'src/inference/pool/oip-variant.ts',
  'src/graphql/plugins',
  'src/graphql/http-app.ts',
  'src/tenants/token-budget.ts',
]);
/** They import these, which await as well, but other routes, before the reservation, or beside requests. */
const apart = [
  'graphql/uploads-route',
  'graphql/usage-route',
  'graphql/cors',
  'tenants/failure-limit',
  'lib/repeating',
].map((name) => `src/${name}.ts`);
const points = modules.flatMap((module) => module.points);
/** So that pictures are fetched from this machine. */
const everyAddressIsPublic = replaceModule(
  'src/lib/address.ts',
  'export const isPublicAddress = () => true;',
);

/** One server keeps no results; one traces, though nobody listens there. */
const settings = [{ FOVEA_CACHE_BYTES: '0' }, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }, {}];
/** What a client may be told: its deadline, a token that has nothing left, the database away, and a row that it refused. */
const CLEAR = ['DEADLINE_EXCEEDED', 'FORBIDDEN', 'OVERLOADED', 'INTERNAL_SERVER_ERROR'];

/** What the log says of requests that failed by no fault of theirs. */
const FAILED = ['a resolver failed', 'a request could not be taken in', 'a request failed outside GraphQL'];

/** One that was reached: every other time one that nobody has died at, while there is any. */
function choosePoint(
  reached: ReadonlySet<CrashPoint>,
  diedAt: ReadonlySet<CrashPoint>,
  random: Random,
): CrashPoint {
  const all = Array.from(reached);
  const survived = all.filter((point) => !diedAt.has(point));
  const choices = survived.length > 0 && random.chance(0.5) ? survived : all;
  return choices[random.below(choices.length)]!;
}

it('each module that awaits on the way is one in which servers are killed, or is set apart', () => {
  const paths = modules.map(({ path }) => path);
  expect(awaitingModules(paths)).toEqual([...paths, ...apart].sort());
});

describe(`${KILLS} servers killed at whatever they were waiting for, under load`, () => {
  const cleanUps: (() => void | Promise<void>)[] = [];
  let stage: CrashStage;
  let database: pg.Pool;
  let network: LossyProxy;
  let moody: SpoiltWorker;
  let pictures: readonly Picture[];
  /** Client tokens: one that may spend what it likes, and one that may spend one unit. */
  let rich: string;
  let poor: string;
  let clients: WishfulClients;
  const deaths = { 'at its point': 0, anywhere: 0, 'in order': 0, 'by itself': 0, 'did not start': 0 };
  const diedAt = new Set<CrashPoint>();
  let databaseStops = 0;
  let workerKills = 0;

  beforeAll(async () => {
    const host = await openPictureHost();
    cleanUps.push(() => host.close());
    stage = await CrashStage.open({
      servers: SERVERS,
      modules: [...modules, everyAddressIsPublic],
      environment: (server) => ({
        FOVEA_WORKERS: [moody, stage.worker].map(({ address }) => address).join(),
        ...settings[server],
      }),
      through: async (url) => {
        network = await openLossyProxy(url);
        return network.url;
      },
    });
    cleanUps.push(() => network.close());
    cleanUps.push(() => stage.close());
    moody = await SpoiltWorker.before(stage.worker.address, (end) => cleanUps.push(end));
    database = stage.superuser();
    cleanUps.push(() => database.end());
    // Installs itself, and shows which points requests come by.
    const first = await startAll();
    const client = new GraphqlClient(stage.urls[0]!, stage.key);
    pictures = await allSortsOfPictures(client, host.pictureUrl);
    rich = await mintToken(client, 1_000_000);
    poor = await mintToken(client, 1);
    clients = new WishfulClients(stage, {
      name: 'wish',
      count: CLIENTS,
      timeoutMs: TIMEOUT_MS,
      pictures,
      clientTokens: [rich, poor],
      areImpatient: true,
    });
    cleanUps.push(() => clients.stop());
    await refuseRowsNowAndThen(database);
    const random = randomFrom(KILLS);
    const ends = [makeMoody(moody, random), loseAnswersToCommits(network), watchAll(stage.urls)];
    cleanUps.push(...ends);
    await delay(3_000);
    for (const server of first) server.kill('SIGTERM');
    await Promise.all(first.map(({ ended }) => ended));

    let lives = 0;
    const isOver = () =>
      deaths['at its point'] + deaths.anywhere >= KILLS ||
      deaths['by itself'] + deaths['did not start'] >= KILLS;
    let disturbances = Promise.resolve();
    await Promise.all(
      Array.from({ length: SERVERS }, async (_, index) => {
        while (!isOver()) {
          lives += 1;
          if (lives % LIVES_A_WORKER === 0) {
            workerKills += 1;
            disturbances = disturbances.then(() => stage.worker.restart());
          }
          if (lives % LIVES_A_DATABASE === 0) databaseStops += Number(stage.stopDatabase('SIGQUIT'));
          const point = choosePoint(stage.reached, diedAt, random);
          const death = await stage.runToDeath(index, {
            point,
            times: random.chance(0.5) ? 1 : 1 + random.below(8),
            livesMs: LIVES_MS,
            endsMs: random.chance(0.5) ? random.below(ENDS_MS) : null,
          });
          deaths[death] += 1;
          if (death === 'at its point') diedAt.add(point);
        }
      }),
    );
    await disturbances;
    for (const end of ends) await end();
    await clients.stop();
  });
  afterAll(async () => {
    for (const clean of cleanUps.reverse()) await clean();
  });

  async function startAll(): Promise<RunningServer[]> {
    const [first, ...others] = Array.from({ length: SERVERS }, (_, index) => index);
    // The first one alone, where there is nothing yet.
    const servers = [await stage.start(first!)];
    servers.push(...(await Promise.all(others.map((index) => stage.start(index)))));
    expect(servers.every(({ isUp }) => isUp)).toBe(true);
    return servers;
  }

  it('was what it says', () => {
    const survived = points.filter((point) => !diedAt.has(point));
    const figures = {
      deaths,
      points: diedAt.size,
      of: points.length,
      workerKills,
      nonsense: moody.spoilt,
      lostAnswers: network.swallowed,
      databaseStops,
      wishes: clients.wishes.length,
      refusals: Array.from(clients.refusals),
      survived,
      unreached: points.filter((point) => !stage.reached.has(point)),
    };
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    expect(deaths['at its point'] + deaths.anywhere).toBeGreaterThanOrEqual(KILLS);
    expect(deaths['at its point']).toBeGreaterThanOrEqual(KILLS / 4);
    expect(deaths['by itself']).toBe(0);
    expect(databaseStops).toBeGreaterThan(0);
    expect(moody.spoilt).toBeGreaterThan(0);
    expect(network.swallowed).toBeGreaterThan(0);
    if (isLong) {
      expect(deaths['in order']).toBeGreaterThan(0);
      expect(survived).toEqual([]);
    }
  });

  it('left holds that are gone when their time is over, and five seconds', async () => {
    // PostgreSQL may have been stopped last of all.
    const isBack = () =>
      database.query('SELECT').then(
        () => true,
        () => false,
      );
    await expect.poll(isBack, { timeout: 60_000 }).toBe(true);
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

  it('told clients what became of their requests, and no more', () => {
    expect([...clients.refusals].filter((code) => !CLEAR.includes(String(code)))).toEqual([]);
    expect([...clients.refusals]).toEqual(expect.arrayContaining(['FORBIDDEN', 'INTERNAL_SERVER_ERROR']));
    const faults = stage.errors.filter(({ msg }) => FAILED.includes(msg));
    const isExpected = ({ err }: LoggedError) =>
      err?.message === 'chance has it' || isUnavailable(Object.assign(new Error(err?.message), err));
    expect(faults.filter((fault) => !isExpected(fault))).toEqual([]);
    const told = clients.wishes.flatMap((wish) =>
      wish.pictures.map((picture, n) => ({ picture, code: wish.answer!.codes[n] })),
    );
    for (const picture of pictures) {
      const codes = told.filter((each) => each.picture === picture).map(({ code }) => code);
      const others = codes.filter((code) => code !== picture.code);
      expect(codes.length).toBeGreaterThan(others.length);
      // Where the other worker was away, nonsense could not be told from the model's answer.
      const isNonsense = (code: unknown) => picture.code === null && code === 'INFERENCE_FAILED';
      expect(others.filter((code) => !isNonsense(code))).toEqual([]);
      expect(others.length).toBeLessThan(Math.max(4, codes.length / 4));
    }
  });

  it('lost nothing that was answered, booked nothing twice that has a key, and left sums that agree', async () => {
    await expectBookedOnce(database, clients.wishes);
  });

  it('billed client tokens no more than they may spend, and took no less from them', async () => {
    // It may have taken more: whoever dies, or is not told whether it has booked, leaves what it has taken to nobody.
    const { rows } = await database.query<{ spent: number }>(
      'SELECT spent::int FROM client_token ORDER BY max_units',
    );
    const [ofPoor, ofRich] = rows.map(({ spent }) => spent);
    expect(clients.unitsOf(poor)).toBeLessThanOrEqual(1);
    expect(ofPoor).toBeGreaterThanOrEqual(clients.unitsOf(poor));
    expect(clients.unitsOf(rich)).toBeGreaterThan(0);
    expect(ofRich).toBeGreaterThanOrEqual(clients.unitsOf(rich));
  });
});
