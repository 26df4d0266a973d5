import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { RedisLink } from '../../src/tenants/redis-link.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { type OpenServer, openServer } from '../support/open-server.ts';
import { needsRedis, redisServer, TestRedis } from '../support/redis.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';

describe.skipIf(redisServer === null)(`two servers on one Redis (${needsRedis})`, () => {
  let redis: TestRedis;
  let server: TestServer;
  let beside: OpenServer;
  beforeAll(async () => {
    redis = await TestRedis.start();
    const environment = { REDIS_URL: redis.url, FOVEA_WITHOUT_REDIS: 'refuse' };
    server = await startServer(environment);
    beside = await openServer(server, environment);
  }, 60_000);
  afterAll(async () => {
    await beside?.close();
    await server?.close();
    await redis?.kill();
  });

  const clientsOf = ({ key }: TestTenant) => [server, beside].map(({ url }) => new GraphqlClient(url, key));
  const image = { base64: examplePicture() };

  it("admit a plan's points once, not each", async () => {
    const clients = clientsOf(await server.createTenant({ plan: 'Free' })); // 64 points, 20 a second
    const started = performance.now();
    const codes = await Promise.all(
      Array.from({ length: 150 }, async (_, n) => {
        const { data, errors } = await clients[n % 2]!.send<{ quota: object }>('{ quota { used } }');
        return data ? 'answered' : errors[0]!.extensions.code;
      }),
    );
    const seconds = (performance.now() - started) / 1_000;
    const answered = codes.filter((code) => code === 'answered').length;
    expect(answered).toBeGreaterThan(0);
    // Each costs a point at least.
    expect(answered).toBeLessThanOrEqual(64 + Math.ceil(20 * seconds));
    expect(codes.filter((code) => code !== 'answered')).toEqual(Array(150 - answered).fill('RATE_LIMITED'));
  });

  it("count what other processes have in flight of a plan's places, and refuse what is beyond", async () => {
    const { id, client } = await server.createTenant({ plan: 'Pro' }); // 32 in flight
    const clients = clientsOf(await server.createTenant({ plan: 'Pro' }));
    const elsewhere = await RedisLink.open(redis.url, createLogger('silent'));
    try {
      for (let n = 0; n < 32; n++)
        await elsewhere.ask((link) => link.enter(`fovea:running:${id}`, `elsewhere ${n}`, 32, 60_000));
      const refused = await client.classify({ images: image });
      expect(refused.errors[0]?.extensions.code).toBe('CONCURRENCY_LIMITED');
      // Others have places of their own.
      for (const other of clients) expect((await other.classify({ images: image })).errors).toEqual([]);
      await elsewhere.ask((link) => link.leave(`fovea:running:${id}`, 'elsewhere 7'));
      expect((await client.classify({ images: image })).errors).toEqual([]);
      // It has left by itself, or the next would find no place.
      await expect.poll(async () => (await client.classify({ images: image })).errors).toEqual([]);
    } finally {
      await elsewhere.close();
    }
  });

  it('say what they do without it, and go on once it is back', async () => {
    const { client } = await server.createTenant();
    expect(await server.metric('fovea_limits_shared')).toBe(1);
    await redis.kill();
    await expect.poll(() => server.metric('fovea_limits_shared'), { timeout: 5_000 }).toBe(0);
    const ready = await fetch(`${server.url}/health/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ reason: expect.stringContaining('Redis does not answer') });
    const refused = await client.classify({ images: image });
    expect(refused).toMatchObject({
      status: 503,
      errors: [
        {
          message: 'Limits cannot be checked now: try again.',
          extensions: { code: 'OVERLOADED', retryAfterMs: 1_000 },
        },
      ],
    });
    await redis.restart();
    await expect.poll(() => server.metric('fovea_limits_shared'), { timeout: 10_000 }).toBe(1);
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
    expect((await client.classify({ images: image })).data).not.toBeNull();
    await server.expectExactLedger();
  }, 30_000);
});
