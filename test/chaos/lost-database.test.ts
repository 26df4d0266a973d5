import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type LossyProxy, openLossyProxy } from '../support/lossy-proxy.ts';
import { CrashStage } from './crash-stage.ts';
import { bookedRequests, expectBookedOnce, WishfulClients } from './wishes.ts';

/** How long the database is out of reach in each case. `FOVEA_TEST_CHAOS_SECONDS=30` is what is promised. */
const OUTAGE_MS = 1_000 * Number(process.env.FOVEA_TEST_CHAOS_SECONDS || 4);
const CLIENTS = 12;
const TIMEOUT_MS = 2_000;
vi.setConfig({ testTimeout: 120_000 + 3 * OUTAGE_MS, hookTimeout: 120_000 });

/** What a client may be told while it lasts. */
const CLEAR = ['DEADLINE_EXCEEDED', 'OVERLOADED'];

let stage: CrashStage;
let proxy: LossyProxy;
let database: pg.Pool;
/** Whether the database's files are on a file system of their own, which can be filled. */
let isSmall = false;

beforeAll(async () => {
  stage = await CrashStage.open({
    servers: 1,
    prepare(folder) {
      const files = join(folder, 'database');
      mkdirSync(files);
      const options = ['-t', 'tmpfs', '-o', 'size=300m,mode=0711', 'tmpfs', files];
      isSmall = spawnSync('mount', options).status === 0;
      return () => {
        if (isSmall) spawnSync('umount', ['-l', files]);
      };
    },
    through: async (url) => {
      proxy = await openLossyProxy(url);
      return proxy.url;
    },
  });
  await stage.start(0);
  database = stage.superuser();
});
afterAll(async () => {
  await database?.end();
  await stage?.close();
  await proxy?.close();
});

interface Loss {
  readonly name: string;
  lose(): Promise<unknown>;
  bringBack(): Promise<unknown>;
  /** false: it comes back by itself at once. */
  readonly lasts: boolean;
}

/** Has clients ask before, while and after the database is gone, and expects that service comes back by itself, and exact books. */
async function survives({ name, lose, bringBack, lasts }: Loss): Promise<void> {
  const before = await bookedRequests(database);
  const clients = new WishfulClients(stage, { name, count: CLIENTS, timeoutMs: TIMEOUT_MS });
  const more = (count: number) =>
    expect.poll(() => clients.answered, { timeout: 60_000 }).toBeGreaterThan(clients.answered + count);
  try {
    await more(100);
    await lose();
    // What was being booked at that moment may still be answered.
    await delay(1_000);
    const answered = clients.answered;
    await delay(OUTAGE_MS);
    if (lasts) expect(clients.answered).toBe(answered);
    await bringBack();
    await more(100);
  } finally {
    await bringBack();
    await clients.stop();
  }
  expect([...clients.refusals].filter((code) => !CLEAR.includes(String(code)))).toEqual([]);
  expect((await fetch(`${stage.urls[0]}/health/ready`)).status).toBe(200);

  // What is held for those whose connection broke is not waited for here.
  await database.query('UPDATE quota_hold SET expires_at = now()');
  await clients.askForTheRest();
  await expectBookedOnce(database, clients.wishes, before);
  for (const { answer, pictures } of clients.wishes) expect(answer?.codes).toEqual(pictures.map(() => null));
}

it(`${OUTAGE_MS / 1_000} seconds without a network to the database: every request is answered or told so, none is answered unbooked`, () =>
  survives({
    name: 'cut',
    lose: async () => proxy.cut(true),
    bringBack: async () => proxy.cut(false),
    lasts: true,
  }));

it('a database that ends in order, and at once when it is back, is started again and used again', () =>
  survives({
    name: 'restarted',
    lose: async () => stage.stopDatabase('SIGINT'),
    bringBack: async () => stage.stopDatabase('SIGQUIT'),
    lasts: false,
  }));

it(`${OUTAGE_MS / 1_000} seconds in which others have all of the database's connections`, async () => {
  const taken: pg.Client[] = [];
  await survives({
    name: 'crowded out',
    async lose() {
      // Whoever is told to end takes a moment for it, on a busy machine a long one, and its place may be the server's again.
      for (let rounds = 0; rounds < 20; rounds = (await serverConnections()) > 0 ? 0 : rounds + 1) {
        await database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^fovea_'`,
        );
        await delay(50);
        await takeAllConnections(taken);
      }
    },
    bringBack: () => Promise.all(taken.splice(0).map((client) => client.end())),
    lasts: true,
  });
});

it(`${OUTAGE_MS / 1_000} seconds with a full disk (needs root, for a file system of its own)`, async ({
  skip,
}) => {
  if (!isSmall) skip();
  const folder = join(stage.folder, 'database');
  const filler = join(folder, 'filler');
  await survives({
    name: 'disk full',
    async lose() {
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
      // What it has made room for in its log beforehand.
      for (let segment = 0; segment < 8; segment++)
        await database.query('SELECT pg_switch_wal()').catch(() => {});
    },
    bringBack: async () => rmSync(filler, { force: true }),
    lasts: true,
  });
});

/** But for those that are kept for superusers. */
async function takeAllConnections(taken: pg.Client[]): Promise<void> {
  for (;;) {
    const client = new pg.Client(stage.databaseUrl);
    client.on('error', () => {});
    try {
      await client.connect();
    } catch {
      return;
    }
    taken.push(client);
  }
}

async function serverConnections(): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name ~ '^fovea_'`,
  );
  return rows[0]!.count;
}
