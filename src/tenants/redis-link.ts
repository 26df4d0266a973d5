import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient, defineScript } from '@redis/client';
import type { Logger } from '../lib/logger.ts';
import { type Repeating, repeat } from '../lib/repeating.ts';

/** What one key's script does, and answers in whole numbers. Arguments come to it as text. */
const script = (source: string) =>
  defineScript({
    SCRIPT: source,
    NUMBER_OF_KEYS: 1,
    parseCommand(
      parser: { pushKey(key: string): void; push(...args: string[]): unknown },
      key: string,
      ...args: (string | number)[]
    ) {
      parser.pushKey(key);
      parser.push(...args.map(String));
    },
    transformReply: (reply: unknown) => reply as number[],
  });

/** Redis' own clock, so that all processes have one: milliseconds, with what its microseconds say. */
const now = `
  local time = redis.call('TIME')
  local now = time[1] * 1000 + time[2] / 1000`;

/**
 * GCRA as `MemoryRateLimiter` has it; a key holds the time at which all its points will be back. ARGV: cost, milliseconds a point,
 * burst. Answers whether the cost was taken, whole points left, and milliseconds to wait.
 */
const take = `${now}
  local cost, each, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
  local tolerance = 0.001
  local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
  local after = math.max(now, full + cost * each)
  local wait = after - burst * each - now
  local admitted = wait <= tolerance
  if admitted then
    full = after
    if after > now then redis.call('SET', KEYS[1], string.format('%.17g', after), 'PX', math.ceil(after - now))
    else redis.call('DEL', KEYS[1]) end
  end
  local left = math.max(0, math.floor(burst - (full - now) / each + tolerance / each))
  return { admitted and 1 or 0, left, admitted and 0 or math.ceil(wait - tolerance) }`;

/** A sorted set of leases by when they end. ARGV: the lease, how many there may be, for how many milliseconds. */
const enter = `${now}
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return { 0 } end
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return { 1 }`;

/** ARGV: for how many milliseconds, then the leases. What was lost meanwhile is there again. */
const renew = `${now}
  for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  return { 1 }`;

const leave = `redis.call('ZREM', KEYS[1], ARGV[1]) return { 1 }`;

const scripts = { take: script(take), enter: script(enter), renew: script(renew), leave: script(leave) };

function clientFor(url: string) {
  return createClient({
    url,
    scripts,
    name: 'fovea',
    // What is asked while it is away is answered without it, and must not be carried out later.
    disableOfflineQueue: true,
    socket: { connectTimeout: 2_000, reconnectStrategy: (retries) => Math.min(100 * 2 ** retries, 1_000) },
  });
}

export type RedisScripts = Pick<ReturnType<typeof clientFor>, keyof typeof scripts>;

/** An answer that takes longer comes too late: every request waits for one. */
const ANSWER_WITHIN_MS = 250;
const LOOK_EVERY_MS = 500;
/** So many looks in a row without an answer, and the connection is given up for another: its peer may have vanished without a word. */
const LOOKS_UNANSWERED = 4;
const OPEN_WITHIN_MS = 2_000;

type Client = ReturnType<typeof clientFor>;

/**
 * A connection to Redis that says at once when Redis is away: whoever asks then does not wait. Once an answer failed to come, nobody
 * asks until Redis has answered a look, every half second, by doing what it will be asked for.
 */
export class RedisLink {
  readonly #url: string;
  readonly #logger: Logger;
  readonly #looking: Repeating;
  readonly #name = randomUUID();
  #client: Client;
  #isUp = false;
  #unanswered = 0;
  /** Why it is away. */
  #lastError: Error | null = null;

  private constructor(url: string, logger: Logger) {
    this.#url = url;
    this.#logger = logger;
    this.#client = this.#connect();
    this.#looking = repeat('Looking for Redis', LOOK_EVERY_MS, () => this.#look(), logger);
  }

  /** Resolves once Redis answers, or has not for two seconds: it may come later. */
  static async open(url: string, logger: Logger): Promise<RedisLink> {
    const link = new RedisLink(url, logger);
    const giveUpAt = performance.now() + OPEN_WITHIN_MS;
    while (!link.#isUp && performance.now() < giveUpAt) {
      await delay(20);
      await link.#look();
    }
    if (!link.#isUp) {
      const err = link.#lastError;
      logger.error(
        { err },
        'Redis does not answer: limits are not shared with other processes until it does',
      );
    }
    return link;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** What `command` answers; null: Redis is away, and whether it was carried out is unknown. */
  async ask(command: (redis: RedisScripts) => Promise<number[]>): Promise<number[] | null> {
    if (!this.#isUp) return null;
    try {
      return await inTime(command(this.#client));
    } catch (error) {
      this.#isAway(error as Error);
      return null;
    }
  }

  async close(): Promise<void> {
    await this.#looking.stop();
    this.#isUp = false;
    this.#client.destroy();
  }

  #connect(): Client {
    const client = clientFor(this.#url);
    // Each failure to connect is told here, and would end the process with nobody listening.
    client.on('error', (error: Error) => this.#isAway(error));
    // It tries until it is destroyed.
    client.connect().catch(() => {});
    return client;
  }

  async #look(): Promise<void> {
    if (this.#isUp || !this.#client.isReady) return;
    const client = this.#client;
    try {
      // Not a mere PING: one that is full, or a replica, answers that and does nothing.
      await inTime(client.enter(`fovea:look:${this.#name}`, this.#name, 2, LOOK_EVERY_MS));
    } catch (error) {
      this.#lastError = error as Error;
      this.#unanswered += 1;
      if (this.#unanswered < LOOKS_UNANSWERED) return;
      this.#unanswered = 0;
      client.destroy();
      this.#client = this.#connect();
      return;
    }
    this.#unanswered = 0;
    this.#isUp = true;
    this.#logger.info('Redis answers: limits are shared with other processes');
  }

  #isAway(error: Error): void {
    this.#lastError = error;
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#logger.error({ err: error }, 'Redis does not answer any more: limits are not shared until it does');
  }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const refuse = () => late.reject(new Error(`Redis did not answer within ${ANSWER_WITHIN_MS} ms`));
  // A process that was held up for longer has not read yet what lies there: it does so before the next turn.
  const timer = setTimeout(() => setImmediate(refuse), ANSWER_WITHIN_MS);
  // Whatever comes of it later is of no use to anybody.
  work.catch(() => {});
  late.promise.catch(() => {});
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
