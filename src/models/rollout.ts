import { setTimeout as delay } from 'node:timers/promises';
import { v4 as uuidv4 } from 'uuid';
import type { Database } from '../db/database.ts';
import type { Notifications } from '../db/notifications.ts';
import type { InferenceWorker } from '../inference/pool/worker.ts';
import type { Logger } from '../lib/logger.ts';
import type { ModelRegistry, ServedModel } from './registry.ts';

// A command that imports a model is another process than the servers that answer with it: it asks them through the
// database to load it, and each says when it has.
const ASKED = 'fovea_rollout';
const DONE = 'fovea_rolled_out';

interface Rollout {
  readonly rollout: string;
  readonly modelId: string;
  /** A tenant that may use the model, to read it as; null: any may. */
  readonly tenantId: string | null;
}

/** For a server: loads what commands ask for. */
export function answerRollouts(
  notifications: Notifications,
  registry: ModelRegistry,
  workers: readonly InferenceWorker[],
  logger: Logger,
): void {
  notifications.subscribe(ASKED, (payload) => {
    const { rollout, modelId, tenantId } = JSON.parse(payload) as Rollout;
    const loaded = async () => {
      const model = await registry.get(tenantId, modelId);
      if (model) await load(model, workers);
    };
    loaded()
      .catch((error) => logger.error({ err: error, modelId }, 'an imported model could not be loaded'))
      .then(() => notifications.publish(DONE, rollout))
      .catch((error) => logger.error({ err: error }, 'the import could not be confirmed'));
  });
}

export async function load({ variants }: ServedModel, workers: readonly InferenceWorker[]): Promise<void> {
  await Promise.all(workers.flatMap((worker) => variants.map((variant) => worker.ensureLoaded(variant))));
}

/**
 * For a command: asks every running server to load the model.
 *
 * @returns how many servers there are, and how many confirmed within `timeoutMs`
 */
export async function askForRollout(
  database: Database,
  notifications: Notifications,
  { id: modelId, tenantId }: ServedModel,
  timeoutMs: number,
): Promise<{ servers: number; confirmed: number }> {
  const rollout = uuidv4();
  let confirmed = 0;
  notifications.subscribe(DONE, (payload) => {
    if (payload === rollout) confirmed += 1;
  });
  const asked: Rollout = { rollout, modelId, tenantId };
  await notifications.publish(ASKED, JSON.stringify(asked));
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    // Counted anew each time: a server that ends meanwhile is not waited for.
    const servers = await runningServers(database);
    if (confirmed >= servers || performance.now() > giveUpAt) return { servers, confirmed };
    await delay(20);
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
