import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { expect, vi } from 'vitest';
import { checkLedger } from '../../src/metering/check.ts';
import type { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture } from '../support/server.ts';
import { patience } from './installation.ts';

const CLIENTS = 32;

export interface Load {
  /** Request ids of the receipts that clients hold in their hands. */
  readonly acknowledged: string[];
  /** Keys of the requests whose connection broke before an answer came. */
  readonly broken: string[];
  /** Those that were refused an answer. */
  readonly refused: { key: string; codes: unknown[] }[];
  /** Until so many are answered. */
  answered(count: number): Promise<void>;
  /** Resolves when every client has met a broken connection, or was told to stop and has its last answer. */
  ended(): Promise<void>;
  stop(): void;
}

const input = (idempotencyKey: string) => ({ images: { base64: examplePicture() }, idempotencyKey });

/** Clients that ask again and again, each time under a key of its own, until the server is gone. */
export function startLoad(client: GraphqlClient): Load {
  const acknowledged: string[] = [];
  const broken: string[] = [];
  const refused: Load['refused'] = [];
  let stopped = false;

  async function ask(name: number): Promise<void> {
    for (let n = 0; !stopped; n++) {
      const key = `client ${name} request ${n}`;
      try {
        const answer = await client.classify(input(key));
        if (answer.data) acknowledged.push(answer.data.classify.receipt.requestId);
        else {
          refused.push({ key, codes: answer.errors.map(({ extensions }) => extensions.code) });
          await sleep(250);
        }
      } catch {
        broken.push(key); // The connection: whatever the server answers comes back as an answer.
        return;
      }
    }
  }

  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, name) => ask(name)));
  return {
    acknowledged,
    broken,
    refused,
    async answered(count) {
      await vi.waitUntil(() => acknowledged.length >= count, patience);
    },
    async ended() {
      await clients;
    },
    stop() {
      stopped = true;
    },
  };
}

/**
 * Asks again what was left without an answer, and expects that the ledger holds the answers that clients have, each once, and
 * nothing else.
 */
export async function expectBookedIsAnswered(
  { acknowledged, broken, refused }: Load,
  client: GraphqlClient,
  database: pg.Pool,
): Promise<void> {
  const unanswered = [...broken, ...refused.map(({ key }) => key)];
  const replays = await Promise.all(unanswered.map((key) => client.classify(input(key))));
  expect(replays.flatMap(({ errors }) => errors)).toEqual([]);
  const answered = [...acknowledged, ...replays.map(({ data }) => data!.classify.receipt.requestId)];
  const { rows } = await database.query<{ request_id: string }>('SELECT request_id FROM usage_event');
  expect(rows.map(({ request_id }) => request_id).sort()).toEqual(answered.sort());
  expect(await heldRequests(database)).toBe(0);
  expect(await checkLedger(database)).toEqual([]);
}

/** What was held when a process died expires as long after it as a request may take, and 30 s more: here at once. */
export async function sweepHolds(database: pg.Pool): Promise<void> {
  await database.query('UPDATE quota_hold SET expires_at = now()');
  await vi.waitUntil(async () => (await heldRequests(database)) === 0, patience);
}

export async function heldRequests(database: pg.Pool): Promise<number> {
  const { rows } = await database.query<{ held: number }>('SELECT count(*)::int AS held FROM quota_hold');
  return rows[0]!.held;
}
