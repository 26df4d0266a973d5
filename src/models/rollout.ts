import { setTimeout as delay } from 'node:timers/promises';
import { v4 as uuidv4 } from 'uuid';
import type { Database } from '../db/database.ts';
import type { Notifications } from '../db/notifications.ts';
import type { WorkerPool } from '../inference/pool/pool.ts';
import type { Logger } from '../lib/logger.ts';
import type { ModelRegistry, ServedModel } from './registry.ts';

// A command that imports a model is another process than the servers that answer with it: it asks them through the
// database to load it, and each says when it has.
const ASKED = 'fovea_rollout';
const DONE = 'fovea_rolled_out';

const ROUND_MS = 20;
const ROUNDS_BETWEEN_ASKING = 50;

interface Rollout {
  readonly rollout: string;
  readonly modelId: string;
  /** A tenant that may use the model, to read it as; null: any may. */
  readonly tenantId: string | null;
}

interface Outcome {
  readonly rollout: string;
  /** Tells servers apart: one that is asked twice answers twice. */
  readonly server: string;
  /** Why it did not load the model; null: it has. */
  readonly failure: string | null;
}

/** Of the reason, which goes through a notification of 8,000 bytes. */
const MAX_REASON_CHARACTERS = 1_000;

/** For a server: loads what commands ask for. */
export function answerRollouts(
  notifications: Pick<Notifications, 'publish' | 'subscribe'>,
  registry: Pick<ModelRegistry, 'get' | 'find'>,
  pool: Pick<WorkerPool, 'load' | 'holders'>,
  logger: Logger,
): void {
  const server = uuidv4();
  /** By as many workers as hold the version that it is to replace: it shall be as ready for what is asked of it. */
  const load = async ({ variants, tenantId, name }: ServedModel): Promise<void> => {
    const live = await registry.find(tenantId, name);
    for (const variant of variants) {
      const former = live?.variants.find(({ compression }) => compression === variant.compression);
      await pool.load([variant], { copies: former ? pool.holders(former.key) : 1 });
    }
  };
  const rollOut = async ({ modelId, tenantId }: Rollout): Promise<string | null> => {
    try {
      const model = await registry.get(tenantId, modelId);
      if (model) await load(model);
      return null;
    } catch (error) {
      logger.error({ err: error, modelId }, 'an imported model could not be loaded');
      return (error as Error).message.slice(0, MAX_REASON_CHARACTERS);
    }
  };
  // A command asks time and again, and is answered once what it asked for is done.
  const underWay = new Set<string>();
  notifications.subscribe(ASKED, (payload) => {
    const asked = JSON.parse(payload) as Rollout;
    if (underWay.has(asked.rollout)) return;
    underWay.add(asked.rollout);
    rollOut(asked)
      .finally(() => underWay.delete(asked.rollout))
      .then((failure) => {
        const outcome: Outcome = { rollout: asked.rollout, server, failure };
        return notifications.publish(DONE, JSON.stringify(outcome));
      })
      .catch((error) => logger.error({ err: error }, 'the import could not be confirmed'));
  });
}

/**
 * For a command: asks every running server to load the model.
 *
 * @returns how many servers there are, how many of them answered within `timeoutMs` that they have loaded it, and why one has not
 *   where one said so
 */
export async function askForRollout(
  database: Database,
  notifications: Notifications,
  { id: modelId, tenantId }: ServedModel,
  timeoutMs: number,
): Promise<{ servers: number; loaded: number; reason?: string }> {
  const rollout = uuidv4();
  const answers = new Map<string, string | null>();
  notifications.subscribe(DONE, (payload) => {
    const outcome = JSON.parse(payload) as Outcome;
    if (outcome.rollout === rollout) answers.set(outcome.server, outcome.failure);
  });
  const asked: Rollout = { rollout, modelId, tenantId };
  const giveUpAt = performance.now() + timeoutMs;
  for (let round = 0; ; round++) {
    // Time and again: a server that just starts, or that lost its connection for a moment, did not hear the first time.
    if (round % ROUNDS_BETWEEN_ASKING === 0) await notifications.publish(ASKED, JSON.stringify(asked));
    // Counted anew each time: a server that ends meanwhile is not waited for.
    const servers = await runningServers(database);
    if (answers.size >= servers || performance.now() > giveUpAt) {
      const failures = [...answers.values()].filter((failure) => failure !== null);
      const [reason] = failures;
      return { servers, loaded: answers.size - failures.length, ...(reason !== undefined && { reason }) };
    }
    await delay(ROUND_MS);
  }
}

/** Every server listens to the database on a connection of this name. */
export const SERVER_CONNECTION = 'fovea_server';

async function runningServers(database: Database): Promise<number> {
  const { rows } = await database.app.query<{ servers: number }>(
    'SELECT count(*)::int AS servers FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
    [SERVER_CONNECTION],
  );
  return rows[0]?.servers ?? 0;
}
