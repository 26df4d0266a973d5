import type pg from 'pg';
import { openPool } from '../db/pool.ts';

const ANSWER_WITHIN_MS = 5_000;
const CONNECTIONS = 4;

/** Connections as `fovea_jobs`, in the form in which graphile-worker can take them. */
export function openJobsPool(url: string): pg.Pool {
  const pool = openPool(url, 'fovea_jobs', {
    max: CONNECTIONS,
    answerWithinMs: ANSWER_WITHIN_MS,
    statementTimeoutMs: null,
  });
  // It asks for a listener; what breaks while it is idle, the pool replaces.
  pool.on('connect', (client) => client.on('error', () => {}));
  // It gives the connection that it listens on back twice where that breaks while it stops, and nobody catches what the pool throws.
  const connect = pool.connect.bind(pool) as (callback?: Connected) => unknown;
  const connectOnce = (callback?: Connected) =>
    callback ? connect((error, client, release) => callback(error, client, once(release))) : connect();
  return Object.assign(pool, { connect: connectOnce });
}

type Release = (destroy?: boolean | Error) => void;
type Connected = (error: Error | undefined, client: pg.PoolClient | undefined, release: Release) => void;

function once(release: Release): Release {
  let isReleased = false;
  return (destroy) => {
    if (!isReleased) release(destroy);
    isReleased = true;
  };
}
