import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { vi } from 'vitest';
import { changedChannel } from '../../src/db/changed-cache.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { openNotifications } from '../../src/db/notifications.ts';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { importModel } from '../../src/models/import.ts';
import type { ServedModel } from '../../src/models/registry.ts';
import { type Trials, withTrials } from '../../src/models/trials.ts';
import { createTestDatabase } from '../support/database.ts';

/** A database and an artefact store to import into, with what was announced and logged meanwhile. */
export interface ImportScene {
  readonly url: string;
  readonly database: Database;
  readonly artifacts: ArtifactStore;
  readonly announced: string[];
  readonly logged: string[];
  /** Tries it in `trials`, or in some of its own. */
  import(manifestPath: string, tenantId?: string | null, trials?: Trials): Promise<ServedModel>;
  createTenant(name: string): Promise<string>;
  /** Every stored file and row. */
  contents(): Promise<{ files: string[]; models: number; variants: number }>;
  close(): Promise<void>;
}

export async function openImportScene(): Promise<ImportScene> {
  const testDatabase = await createTestDatabase();
  const database = openDatabase(testDatabase.url);
  const folder = mkdtempSync(join(tmpdir(), 'fovea-artifacts-'));
  const artifacts = new ArtifactStore(folder);
  const announced: string[] = [];
  const logged: string[] = [];
  const logger = createLogger('info', { write: (line) => logged.push(line) });
  const notifications = await openNotifications(testDatabase.url, createLogger('silent'));
  notifications.subscribe(changedChannel, (change) => announced.push(change));
  await vi.waitUntil(() => notifications.connected, { timeout: 10_000 });
  return {
    url: testDatabase.url,
    database,
    artifacts,
    announced,
    logged,
    import(manifestPath, tenantId = null, given) {
      const importIn = (trials: Trials) => importModel(manifestPath, { tenantId, database, trials, logger });
      return given ? importIn(given) : withTrials({ artifacts }, importIn);
    },
    async createTenant(name) {
      const id = uuidv7();
      await database.asTenant(id, async (tx) => {
        const plan = await tx.plan.findFirstOrThrow({ where: { name: 'Scale' } });
        await tx.tenant.create({ data: { id, name, planId: plan.id } });
      });
      return id;
    },
    async contents() {
      const files = readdirSync(folder, { recursive: true, withFileTypes: true });
      const [models, variants] = await database.asOperator((tx) =>
        Promise.all([tx.model.count(), tx.modelVariant.count()]),
      );
      return {
        files: files
          .filter((file) => file.isFile())
          .map(({ name }) => name)
          .sort(),
        models,
        variants,
      };
    },
    async close() {
      await notifications.close();
      await database.close();
      await testDatabase.drop();
      rmSync(folder, { recursive: true });
    },
  };
}
