import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../lib/logger.ts';
import { findLayout, prepareLayout } from './embedded/layout.ts';
import { findPostmaster, signalPostmaster } from './embedded/postmaster.ts';
import { enter, leave, type SessionOptions, urlOf } from './embedded/session.ts';

/** The PostgreSQL that Fovea brings along, for those who name none of their own: one cluster a data directory. */
export interface EmbeddedPostgres {
  /** Connection string of the database `fovea`, as a login that owns it and is no superuser. Stays while this is in use. */
  readonly url: string;
  /** Stops the server unless another process uses it, which then stops it when it leaves. */
  stop(): Promise<void>;
  /** Ends the server at once, for whoever uses it, without waiting: for a second signal while `stop` takes its time. */
  killNow(): void;
}

export interface EmbeddedOptions {
  /** PostgreSQL settings beside or instead of Fovea's own. They count only where this call starts the server. */
  settings?: Readonly<Record<string, string>>;
  /** Gives up the wait for a server that starts or recovers; one that was started for it is stopped again. */
  signal?: AbortSignal;
}

/**
 * For a Fovea server: starts PostgreSQL in `dataDir`, or adopts the one that a killed Fovea server left running. Throws an
 * OperatorError where a live Fovea server holds the directory, or PostgreSQL cannot run.
 */
export function startEmbeddedPostgres(
  dataDir: string,
  logger: Logger,
  options: EmbeddedOptions = {},
): Promise<EmbeddedPostgres> {
  return open(dataDir, logger, 'server', options);
}

/** For a command: uses the PostgreSQL that runs in `dataDir`, else starts it for the command's own duration. */
export function connectEmbeddedPostgres(
  dataDir: string,
  logger: Logger,
  options: EmbeddedOptions = {},
): Promise<EmbeddedPostgres> {
  return open(dataDir, logger, 'command', options);
}

export function isEmbeddedPostgresRunning(dataDir: string): boolean {
  const layout = findLayout(dataDir);
  return layout !== null && findPostmaster(layout) !== null;
}

async function open(
  dataDir: string,
  logger: Logger,
  as: SessionOptions['as'],
  { settings = {}, signal }: EmbeddedOptions,
): Promise<EmbeddedPostgres> {
  const layout = prepareLayout(dataDir);
  if (layout.home !== layout.dataDir) {
    logger.info(
      { home: layout.home },
      `PostgreSQL's user cannot enter ${layout.dataDir}: its files are in ${layout.home}`,
    );
  }
  const leaving = new AbortController();
  const options = { as, settings, signal: leaving.signal };
  let session = await enter(layout, { ...options, port: null, signal: signal ?? leaving.signal });
  const { port } = session;
  let recovery: Promise<void> | null = null;
  let stopped: Promise<void> | null = null;
  watch();

  /** A server that crashed or was killed is started again where it was, so that the pools' next connections find it. */
  function watch(): void {
    session.client.once('end', () => {
      if (!leaving.signal.aborted) recovery = recover();
    });
  }

  async function recover(): Promise<void> {
    logger.warn('the embedded PostgreSQL has ended: starting it again');
    for (let waitMs = 100; !leaving.signal.aborted; waitMs = Math.min(waitMs * 2, 5_000)) {
      try {
        session = await enter(layout, { ...options, port });
        logger.info('the embedded PostgreSQL is back');
        return watch();
      } catch (error) {
        if (leaving.signal.aborted) return;
        logger.error({ err: error }, 'the embedded PostgreSQL cannot be reached');
      }
      await sleep(waitMs);
    }
  }

  async function stop(): Promise<void> {
    leaving.abort();
    await recovery;
    await leave(layout, session);
  }

  return {
    url: urlOf(layout, port),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
    killNow() {
      leaving.abort();
      signalPostmaster(layout, 'SIGQUIT');
    },
  };
}
