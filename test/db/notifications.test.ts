import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ChangedCache, changedChannel } from '../../src/db/changed-cache.ts';
import { type Notifications, openNotifications } from '../../src/db/notifications.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openLossyProxy } from '../support/lossy-proxy.ts';

const logger = createLogger('silent');
let database: TestDatabase;
let notifications: Notifications;
let other: Notifications;
let admin: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await database.drop();
});

beforeEach(async () => {
  notifications = await openNotifications(database.url, logger);
  other = await openNotifications(database.url, logger);
});

afterEach(async () => {
  await Promise.all([notifications.close(), other.close()]);
});

async function breakConnections(): Promise<void> {
  await admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'fovea notifications'`,
  );
}

async function refuseConnections(refused: boolean): Promise<void> {
  await admin.query(`ALTER DATABASE ${admin.database} CONNECTION LIMIT ${refused ? 0 : -1}`);
}

const eventually = (expectation: () => void) => vi.waitFor(expectation, { timeout: 20_000 });

/** Messages arrive in order, so that whatever was published before this one has been handled when it arrives. */
async function settle(on: Notifications): Promise<void> {
  const marker = `marker:${Math.random()}`;
  const arrived = new Promise<void>((resolve) => {
    on.subscribe(changedChannel, (payload) => {
      if (payload === marker) resolve();
    });
  });
  await eventually(() => expect(on.connected).toBe(true));
  await other.publish(changedChannel, marker);
  await arrived;
}

describe('notifications', () => {
  it('arrive at every process, in order, on the channels it subscribed to', async () => {
    const received: string[] = [];
    notifications.subscribe('first', (payload) => received.push(`first ${payload}`));
    notifications.subscribe(changedChannel, (payload) => received.push(payload));
    expect(notifications.connected).toBe(false); // LISTEN is on its way.
    await eventually(() => expect(notifications.connected).toBe(true));

    await other.publish('first', "1'; SELECT");
    await other.publish('second', '2');
    await notifications.publish('first', '');
    await settle(notifications);
    expect(received).toEqual(["first 1'; SELECT", 'first ', expect.stringContaining('marker:')]);
  });

  it('are sent one after the other where many are published at once, each of them', async () => {
    const warnings: string[] = [];
    const warned = ({ message }: Error) => warnings.push(message);
    process.on('warning', warned);
    const received: string[] = [];
    notifications.subscribe(changedChannel, (payload) => received.push(payload));
    const payloads = Array.from({ length: 20 }, (_, index) => `${index}`);
    await Promise.all(payloads.map((payload) => notifications.publish(changedChannel, payload)));
    await eventually(() => expect(received).toEqual(payloads));
    process.off('warning', warned);
    // A connection that is given a second statement meanwhile says so.
    expect(warnings).toEqual([]);
  });

  it('go on after the connection was broken, and say that there was a gap as it breaks and as it is back', async () => {
    const received: string[] = [];
    const gaps: boolean[] = [];
    notifications.subscribe(changedChannel, (payload) => received.push(payload));
    notifications.onGap(() => gaps.push(notifications.connected));
    await eventually(() => expect(notifications.connected).toBe(true));

    await breakConnections();
    await eventually(() => expect(gaps).toEqual([false, true]));
    await other.publish(changedChannel, 'after');
    await settle(notifications);
    expect(received[0]).toBe('after');
  });

  it('that are published while the connection is down are sent once it is back', async () => {
    const arrived = new Promise((resolve) => admin.once('notification', ({ payload }) => resolve(payload)));
    await admin.query(`LISTEN ${changedChannel}`);
    await refuseConnections(true);
    await breakConnections();
    await eventually(() => expect(notifications.connected).toBe(false));
    const published = notifications.publish(changedChannel, 'late');
    await refuseConnections(false);
    await published;
    expect(await arrived).toBe('late');
  });

  it('notice a connection that fell silent, and make another, before what is cached is badly out of date', async () => {
    const proxy = await openLossyProxy(database.url);
    const silent = await openNotifications(proxy.url, logger);
    try {
      proxy.muteAt('SELECT 1');
      const gaps: boolean[] = [];
      silent.onGap(() => gaps.push(silent.connected));
      await vi.waitFor(() => expect(gaps).toEqual([false, true]), { timeout: 9_000 });
    } finally {
      await silent.close();
      await proxy.close();
    }
  });

  it('are shown under their own name, whatever the connection string says', async () => {
    const url = new URL(database.url);
    url.searchParams.set('application_name', 'someone else');
    const named = await openNotifications(url.href, logger, 'a name of its own');
    const { rows } = await admin.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'a name of its own'`,
    );
    await named.close();
    expect(rows).toHaveLength(1);
  });

  it('refuse a payload that PostgreSQL refuses, and what is published after the end', async () => {
    await expect(notifications.publish('any', 'x'.repeat(9_000))).rejects.toThrow(/payload/);
    await notifications.close();
    await expect(notifications.publish('any', 'x')).rejects.toThrow(/closed/);
  });
});

describe('a changed cache', () => {
  const tagsOf = (key: string, value: string | null) => [
    `key:${key}`,
    ...(value === null ? [] : [`tenant:${value}`]),
  ];
  let cache: ChangedCache<string>;
  let loads: number;
  const load = (value: string | null) => async () => {
    loads += 1;
    return value;
  };

  beforeEach(async () => {
    loads = 0;
    cache = new ChangedCache(notifications, { max: 2, ttlMs: 60_000, tagsOf });
    await eventually(() => expect(notifications.connected).toBe(true));
  });

  it('loads once, for callers at the same time too, and remembers that there is nothing', async () => {
    const values = await Promise.all([cache.get('a', load('1')), cache.get('a', load('2'))]);
    expect([...values, await cache.get('a', load('3'))]).toEqual(['1', '1', '1']);
    expect([await cache.get('b', load(null)), await cache.get('b', load('2'))]).toEqual([null, null]);
    expect(loads).toBe(2);
  });

  it('drops what another process says has changed, and nothing else', async () => {
    await cache.get('a', load('1'));
    await cache.get('b', load(null));
    await other.publish(changedChannel, 'tenant:1');
    await settle(notifications);
    expect([await cache.get('a', load('2')), await cache.get('b', load('2'))]).toEqual(['2', null]);
    await other.publish(changedChannel, 'key:b');
    await settle(notifications);
    expect(await cache.get('b', load('2'))).toBe('2');
  });

  it('drops what depends on any of a kind, as one of that kind changes', async () => {
    const models = new ChangedCache<string>(notifications, {
      max: 9,
      ttlMs: 60_000,
      tagsOf: () => ['model'],
    });
    await models.get('a', load('1'));
    await other.publish(changedChannel, 'models:7');
    await settle(notifications);
    expect(await models.get('a', load('2'))).toBe('1');
    await other.publish(changedChannel, 'model:7');
    await settle(notifications);
    expect(await models.get('a', load('3'))).toBe('3');
  });

  it('does not keep what was being loaded when a change was announced, nor answers it to those who ask afterwards', async () => {
    const before = Promise.withResolvers<string>();
    const asked = cache.get('a', () => before.promise);
    await other.publish(changedChannel, 'key:a');
    await settle(notifications);
    const askedLater = cache.get('a', load('new'));
    before.resolve('old');
    expect([await asked, await askedLater, await cache.get('a', load('newer'))]).toEqual([
      'old',
      'new',
      'new',
    ]);
  });

  it('forgets everything in a gap, what is being loaded as well', async () => {
    await cache.get('a', load('1'));
    const before = Promise.withResolvers<string>();
    const asked = cache.get('b', () => before.promise);
    await breakConnections();
    await settle(notifications);
    before.resolve('old');
    expect([await asked, await cache.get('a', load('2')), await cache.get('b', load('2'))]).toEqual([
      'old',
      '2',
      '2',
    ]);
  });

  it('loads each time while nothing can be announced to it', async () => {
    await cache.get('a', load('1'));
    await refuseConnections(true);
    try {
      await breakConnections();
      await eventually(() => expect(notifications.connected).toBe(false));
      expect([await cache.get('a', load('2')), await cache.get('a', load('3'))]).toEqual(['2', '3']);
    } finally {
      await refuseConnections(false);
    }
    await settle(notifications);
    expect([await cache.get('a', load('4')), await cache.get('a', load('5'))]).toEqual(['4', '4']);
  });

  it('drops what was not used for longest, and tries again after a load that failed', async () => {
    for (const key of ['a', 'b', 'c']) await cache.get(key, load('1'));
    expect([await cache.get('c', load('2')), await cache.get('a', load('2'))]).toEqual(['1', '2']);
    await expect(cache.get('d', () => Promise.reject(new Error('down')))).rejects.toThrow('down');
    expect(await cache.get('d', load('1'))).toBe('1');
  });
});
