import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type LossyProxy, openLossyProxy } from '../support/lossy-proxy.ts';
import { CrashStage, type RunningServer } from './crash-stage.ts';
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
let server: RunningServer;
let database: pg.Pool;
/** Whether the database's files are on a file system of their own, which can be filled. */
let isSmall = false;

beforeAll(async () => {
  stage = await CrashStage.open(1, {
    prepare: (folder) => {
      const files = join(folder, 'database');
      mkdirSync(files);
      isSmall = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=300m,mode=0711', 'tmpfs', files]).status === 0;
    },
    through: async (url) => {
      proxy = await openLossyProxy(url);
      return proxy.url;
    },
  });
  server = await stage.start(0);
  database = stage.superuser();
});
afterAll(async () => {
  server?.kill('SIGTERM');
  await server?.ended;
  await database?.end();
  await proxy?.close();
  if (isSmall) spawnSync('umount', ['-l', join(stage.folder, 'database')]);
  await stage?.close();
});

/** Has clients ask before, while and after the database is gone, and expects that service comes back by itself, and exact books. */
async function survives(
  name: string,
  { lose, bringBack }: { lose(): Promise<unknown>; bringBack(): Promise<unknown> },
): Promise<void> {
  const before = await bookedRequests(database);
  const clients = new WishfulClients(stage, { name, count: CLIENTS, timeoutMs: TIMEOUT_MS });
  const more = (count: number) =>
    expect.poll(() => clients.answered, { timeout: 60_000 }).toBeGreaterThan(clients.answered + count);
  await more(100);
  await lose();
  await delay(OUTAGE_MS);
  await bringBack();
  await more(100);
  await clients.stop();
  expect([...clients.refusals].filter((code) => !CLEAR.includes(String(code)))).toEqual([]);
  expect((await fetch(`${stage.urls[0]}/health/ready`)).status).toBe(200);

  // What is held for those whose connection broke is not waited for here.
  await database.query('UPDATE quota_hold SET expires_at = now()');
  await clients.askForTheRest();
  await expectBookedOnce(database, clients.wishes, before);
}

describe(`${OUTAGE_MS / 1_000} seconds without the database`, () => {
  it('since the network to it is cut: every request is answered or told so, and none is answered unbooked', async () => {
    await survives('cut', {
      lose: async () => proxy.cut(true),
      bringBack: async () => proxy.cut(false),
    });
  });

  it('since it ends in order, and at once when it is back', async () => {
    await survives('restarted', {
      lose: async () => stage.stopDatabase('SIGINT'),
      bringBack: async () => stage.stopDatabase('SIGQUIT'),
    });
  });

  it('since others have all its connections', async () => {
    const taken: pg.Client[] = [];
    await survives('crowded out', {
      async lose() {
        await takeAllConnections(taken);
        await database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^fovea_'`,
        );
        await takeAllConnections(taken);
      },
      bringBack: () => Promise.all(taken.map((client) => client.end())),
    });
  });

  it('since its disk is full (needs root, for a file system of its own)', async ({ skip }) => {
    if (!isSmall) skip();
    const folder = join(stage.folder, 'database');
    const filler = join(folder, 'filler');
    await survives('disk full', {
      async lose() {
        const { bavail, bsize } = statfsSync(folder);
        writeFileSync(filler, Buffer.alloc(bavail * bsize));
      },
      bringBack: async () => rmSync(filler),
    });
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
