import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { OverloadedError } from '../../src/lib/errors.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { type Limits, openLimits } from '../../src/tenants/limits.ts';
import type { WithoutRedis } from '../../src/tenants/shared-limits.ts';
import { needsRedis, redisServer, TestRedis } from '../support/redis.ts';

describe.skipIf(redisServer === null)(`limits on one Redis (${needsRedis})`, () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await TestRedis.start();
  });
  afterAll(() => redis.kill());

  const opened: Limits[] = [];
  afterEach(async () => {
    for (const limits of opened.splice(0)) await limits.close();
  });
  async function open(withoutRedis: WithoutRedis = 'local', redisUrl = redis.url): Promise<Limits> {
    const logger = createLogger('silent');
    const limits = await openLimits({ redisUrl, withoutRedis, logger, clock: systemClock });
    opened.push(limits);
    return limits;
  }
  const openThree = () => Promise.all([open(), open(), open()]);

  let keys = 0;
  const newKey = () => `tenant:${keys++}`;
  const slow = { pointsPerSecond: 1, burst: 100 };

  async function untilShared(limits: Limits, shared: boolean): Promise<void> {
    await expect.poll(() => limits.areShared, { timeout: 10_000 }).toBe(shared);
  }

  describe('a rate', () => {
    it('is met exactly by three processes at once', async () => {
      const processes = await openThree();
      const key = newKey();
      const verdicts = await Promise.all(
        Array.from({ length: 600 }, (_, n) => processes[n % 3]!.rateLimiter.take(key, 1, slow)),
      );
      const admitted = verdicts.filter((verdict) => verdict.admitted);
      // A point comes back each second, and this may take as long.
      expect(admitted.length).toBeGreaterThanOrEqual(100);
      expect(admitted.length).toBeLessThanOrEqual(102);
      const lefts = admitted.map(({ remaining }) => remaining).toSorted((a, b) => b - a);
      expect(lefts.slice(0, 100)).toEqual(Array.from({ length: 100 }, (_, n) => 99 - n));
      const refused = verdicts.find((verdict) => !verdict.admitted)!;
      expect(refused.retryAfterMs).toBeGreaterThan(0);
      expect(refused.retryAfterMs).toBeLessThanOrEqual(1_000);
    });

    it('says after how long a cost is admitted, and admits it then', async () => {
      const { rateLimiter } = await open();
      const [key, limit] = [newKey(), { pointsPerSecond: 20, burst: 10 }];
      await rateLimiter.take(key, 10, limit);
      const { admitted, remaining, retryAfterMs } = await rateLimiter.take(key, 5, limit);
      expect({ admitted, remaining }).toEqual({ admitted: false, remaining: 0 });
      expect(retryAfterMs).toBeGreaterThan(200);
      expect(retryAfterMs).toBeLessThanOrEqual(250);
      await delay(retryAfterMs);
      expect((await rateLimiter.take(key, 5, limit)).admitted).toBe(true);
    });

    it('gives points back, never more than the burst; more than it never fits', async () => {
      const { rateLimiter } = await open();
      const key = newKey();
      await rateLimiter.take(key, 60, slow);
      expect(await rateLimiter.take(key, -50, slow)).toMatchObject({ admitted: true, remaining: 90 });
      expect(await rateLimiter.take(key, -50, slow)).toMatchObject({ admitted: true, remaining: 100 });
      expect(await rateLimiter.take(key, 101, slow)).toMatchObject({
        admitted: false,
        retryAfterMs: Infinity,
      });
      expect(await rateLimiter.take(key, 100, slow)).toMatchObject({ admitted: true, remaining: 0 });
    });

    it('is kept in Redis for no longer than until its points are back', async () => {
      const { rateLimiter } = await open();
      const key = newKey();
      await rateLimiter.take(key, 10, { pointsPerSecond: 100, burst: 10 });
      await delay(150);
      expect(await rateLimiter.take(key, 10, { pointsPerSecond: 100, burst: 10 })).toMatchObject({
        admitted: true,
        remaining: 0,
      });
    });
  });

  describe('places', () => {
    it('are as many as the limit over three processes, and free as soon as one leaves', async () => {
      const processes = await openThree();
      const key = newKey();
      const entered = await Promise.all(
        Array.from({ length: 60 }, (_, n) => processes[n % 3]!.concurrency.enter(key, 7)),
      );
      const leaves = entered.filter((leave) => leave !== null);
      expect(leaves).toHaveLength(7);
      leaves[0]!();
      leaves[0]!(); // Twice is once.
      await expect.poll(() => processes[2].concurrency.enter(key, 7)).not.toBeNull();
      expect(await processes[1].concurrency.enter(key, 7)).toBeNull();
      expect(await processes[1].concurrency.enter(newKey(), 1)).not.toBeNull();
    });

    it('of a process that died are free ten seconds later, and of one that lives are kept', async () => {
      const [alive, dead] = await Promise.all([open(), open()]);
      const key = newKey();
      expect(await alive.concurrency.enter(key, 2)).not.toBeNull();
      expect(await dead.concurrency.enter(key, 2)).not.toBeNull();
      await dead.close(); // It renews nothing from now on.
      const third = await open();
      expect(await third.concurrency.enter(key, 2)).toBeNull();
      await expect
        .poll(() => third.concurrency.enter(key, 2), { timeout: 12_000, interval: 250 })
        .not.toBeNull();
      expect(await third.concurrency.enter(key, 2)).toBeNull();
    }, 20_000);
  });

  // One after the other, and last: they take Redis away.
  describe('while Redis is away', () => {
    afterEach(async () => {
      redis.resume();
      await redis.kill();
      await redis.restart();
    });

    it.each([
      ['gone', () => redis.kill()],
      ['silent', async () => redis.pause()],
    ])(
      '(%s) each process keeps the limits by itself: three admit three times as much at most',
      async (_, takeAway) => {
        const processes = await openThree();
        const key = newKey();
        for (let n = 0; n < 100; n++) await processes[n % 3]!.rateLimiter.take(key, 1, slow);
        await takeAway();
        const before = performance.now();
        const verdicts = await Promise.all(
          Array.from({ length: 900 }, (_, n) => processes[n % 3]!.rateLimiter.take(key, 1, slow)),
        );
        const seconds = Math.ceil((performance.now() - before) / 1_000);
        const admitted = verdicts.filter((verdict) => verdict.admitted).length;
        expect(admitted).toBeGreaterThanOrEqual(300);
        expect(admitted).toBeLessThanOrEqual(300 + 3 * seconds);
        const entered = await Promise.all(
          Array.from({ length: 60 }, (_, n) => processes[n % 3]!.concurrency.enter(key, 7)),
        );
        expect(entered.filter((leave) => leave !== null)).toHaveLength(21);
      },
    );

    it('nobody waits for it, but for those who are the first to miss it', async () => {
      const limits = await open();
      redis.pause();
      await limits.rateLimiter.take(newKey(), 1, slow);
      const before = performance.now();
      for (let n = 0; n < 100; n++) await limits.rateLimiter.take(newKey(), 1, slow);
      expect(performance.now() - before).toBeLessThan(200);
    });

    it('nothing is admitted where that is the setting, and everything again once it is back', async () => {
      const limits = await open('refuse');
      const key = newKey();
      const leave = (await limits.concurrency.enter(key, 1))!;
      await redis.kill();
      await untilShared(limits, false);
      await expect(limits.rateLimiter.take(key, 1, slow)).rejects.toThrow(OverloadedError);
      await expect(limits.concurrency.enter(newKey(), 1)).rejects.toThrow('Limits cannot be checked now');
      // What was taken before can be given back.
      expect(await limits.rateLimiter.take(key, -1, slow)).toMatchObject({ admitted: true });
      leave();
      await redis.restart();
      await untilShared(limits, true);
      expect(await limits.rateLimiter.take(key, 1, slow)).toMatchObject({ admitted: true, remaining: 99 });
      expect(await limits.concurrency.enter(key, 1)).not.toBeNull();
    });

    it('what a process had under way is counted again once Redis is back, empty', async () => {
      const [one, other] = await Promise.all([open(), open()]);
      const key = newKey();
      expect(await one.concurrency.enter(key, 2)).not.toBeNull();
      await redis.kill();
      await untilShared(one, false);
      const whileAway = await one.concurrency.enter(key, 2);
      expect(whileAway).not.toBeNull();
      await redis.restart();
      await untilShared(other, true);
      await expect
        .poll(
          async () => {
            const leave = await other.concurrency.enter(key, 2);
            leave?.();
            return leave;
          },
          { timeout: 8_000, interval: 200 },
        )
        .toBeNull();
      whileAway!();
      await expect.poll(() => other.concurrency.enter(key, 2), { timeout: 5_000 }).not.toBeNull();
    }, 30_000);

    it('a process starts, and shares limits as soon as it comes', async () => {
      await redis.kill();
      const limits = await open();
      expect(limits.areShared).toBe(false);
      expect(await limits.rateLimiter.take(newKey(), 1, slow)).toMatchObject({ admitted: true });
      await redis.restart();
      await untilShared(limits, true);
    }, 20_000);
  });
});
