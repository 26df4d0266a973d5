import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from '../lib/logger.ts';
import { oneAtATime } from '../lib/one-at-a-time.ts';
import { withParameters } from './connection-string.ts';

/** Short messages between all processes of an installation, through PostgreSQL's LISTEN and NOTIFY. */
export interface Notifications {
  /** Tells every subscriber, this process' own as well. Waits while the connection is down; throws once closed. */
  publish(channel: string, payload: string): Promise<void>;
  /** `handler` must not throw. */
  subscribe(channel: string, handler: (payload: string) => void): void;
  /** Called when messages may have been missed: as the connection is lost, and again when it is back. */
  onGap(handler: () => void): void;
  /** Whether every message on every subscribed channel arrives. */
  readonly connected: boolean;
  close(): Promise<void>;
}

/**
 * Opens a connection of its own to `url`, which is made again whenever it breaks; rejects if it fails at the first time.
 * PostgreSQL shows it under `applicationName`.
 */
export async function openNotifications(
  url: string,
  logger: Logger,
  applicationName = 'fovea notifications',
): Promise<Notifications> {
  const notifications = new ListeningConnection(url, logger, applicationName);
  await notifications.open();
  return notifications;
}

/**
 * A peer that vanished without a word leaves a connection that looks sound and stays silent. What was cached is believed for three
 * beats at most before that is noticed: a revoked key is to be refused within a second. They are counted, not timed: a process that
 * was held up for long has not read the answer that lies there.
 */
const beatMs = 300;
const beatsUnanswered = 2;
const answerWithinMs = 2_000;
const firstRetryMs = 50;
const lastRetryMs = 5_000;

class ListeningConnection implements Notifications {
  readonly #url: string;
  readonly #logger: Logger;
  readonly #applicationName: string;
  readonly #handlers = new Map<string, ((payload: string) => void)[]>();
  readonly #gapHandlers: (() => void)[] = [];
  readonly #listening = new Set<string>();
  readonly #closing = new AbortController();
  /** A connection takes one statement at a time. */
  readonly #inTurn = oneAtATime();
  readonly #heartbeat: NodeJS.Timeout;
  #client: pg.Client | null = null;
  #socket: Socket | null = null;
  #reconnection: Promise<void> | null = null;
  /** Beats since the one that is not answered yet; 0: there is none. */
  #unanswered = 0;

  constructor(url: string, logger: Logger, applicationName: string) {
    this.#url = url;
    this.#logger = logger;
    this.#applicationName = applicationName;
    this.#heartbeat = setInterval(() => this.#beat(), beatMs).unref();
  }

  get connected(): boolean {
    return this.#client !== null && this.#listening.size === this.#handlers.size;
  }

  async publish(channel: string, payload: string): Promise<void> {
    for (;;) {
      this.#closing.signal.throwIfAborted();
      try {
        const sent = await this.#inTurn(async () =>
          this.#client?.query('SELECT pg_notify($1, $2)', [channel, payload]),
        );
        if (sent) return;
      } catch (error) {
        // What PostgreSQL refuses is the caller's fault, a broken connection is not: said twice does no harm, unsaid does.
        if (error instanceof pg.DatabaseError && error.severity === 'ERROR') throw error;
      }
      await sleep(firstRetryMs, undefined, { signal: this.#closing.signal });
    }
  }

  subscribe(channel: string, handler: (payload: string) => void): void {
    const handlers = this.#handlers.get(channel);
    if (handlers) {
      handlers.push(handler);
      return;
    }
    this.#handlers.set(channel, [handler]);
    const client = this.#client;
    if (!client) return; // The connection to come listens to it from its start.
    void this.#execute(listen(channel)).then((done) => {
      if (done && client === this.#client) this.#listening.add(channel);
    });
  }

  onGap(handler: () => void): void {
    this.#gapHandlers.push(handler);
  }

  async open(): Promise<void> {
    const socket = new Socket();
    const client = new pg.Client({
      connectionString: withParameters(this.#url, { application_name: this.#applicationName }),
      connectionTimeoutMillis: 5_000,
      query_timeout: answerWithinMs,
      keepAlive: true,
      stream: () => socket,
    });
    // What matters is the connection's end, which `end` announces; without a listener an error would end the process.
    client.on('error', () => {});
    client.on('end', () => this.#lose(client));
    client.on('notification', ({ channel, payload = '' }) => {
      for (const handler of this.#handlers.get(channel) ?? []) handler(payload);
    });
    try {
      await client.connect();
      for (const channel of this.#handlers.keys()) {
        await client.query(listen(channel));
        this.#listening.add(channel);
      }
    } catch (error) {
      socket.destroy();
      this.#listening.clear();
      throw error;
    }
    this.#client = client;
    this.#socket = socket;
    this.#unanswered = 0;
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#closing.abort(new Error('the notifications are closed'));
    await this.#reconnection;
    await this.#client?.end();
  }

  #beat(): void {
    const client = this.#client;
    if (!client) return;
    if (this.#unanswered > 0) {
      if (this.#unanswered === beatsUnanswered) {
        this.#logger.warn('the connection for notifications is silent');
        this.#socket?.destroy();
      }
      this.#unanswered += 1;
      return;
    }
    this.#unanswered = 1;
    void this.#execute('SELECT 1').then(() => {
      if (client === this.#client) this.#unanswered = 0;
    });
  }

  /** Answers whether it succeeded; a connection on which it did not is given up, and made again. */
  async #execute(statement: string): Promise<boolean> {
    const socket = this.#socket;
    try {
      await this.#inTurn(async () => this.#client?.query(statement));
      return true;
    } catch (error) {
      // `close` breaks off what is under way.
      if (!this.#closing.signal.aborted)
        this.#logger.warn({ err: error }, 'the connection for notifications does not answer');
      socket?.destroy();
      return false;
    }
  }

  #lose(client: pg.Client): void {
    if (client !== this.#client) return;
    this.#client = null;
    this.#socket = null;
    this.#listening.clear();
    this.#announceGap();
    if (!this.#closing.signal.aborted) this.#reconnection = this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing;
    this.#logger.warn('the connection for notifications broke: what is cached is read anew until it is back');
    for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(waitMs * 2, lastRetryMs)) {
      try {
        await sleep(waitMs, undefined, { signal });
        await this.open();
        this.#announceGap();
        this.#logger.info('the connection for notifications is back');
        return;
      } catch (error) {
        if (!signal.aborted)
          this.#logger.warn({ err: error }, 'the connection for notifications cannot be made');
      }
    }
  }

  #announceGap(): void {
    for (const handler of this.#gapHandlers) handler();
  }
}

function listen(channel: string): string {
  return `LISTEN ${pg.escapeIdentifier(channel)}`;
}
