import { join } from 'node:path';
import { openNotifications } from '../../src/db/notifications.ts';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { exportModel } from '../../src/models/export/export-model.ts';
import { ModelRegistry } from '../../src/models/registry.ts';
import type { TestServer } from './server.ts';

/** Exports every public model for Triton. */
export async function exportPublic(
  { context, databaseUrl, dataDir }: Pick<TestServer, 'context' | 'databaseUrl' | 'dataDir'>,
  repository: string,
): Promise<void> {
  const notifications = await openNotifications(databaseUrl, createLogger('silent'));
  try {
    const registry = new ModelRegistry(context.database, notifications);
    const artifacts = new ArtifactStore(join(dataDir, 'artifacts'));
    for (const model of await registry.all(null))
      await exportModel(model, { target: 'triton', repository, artifacts });
  } finally {
    await notifications.close();
  }
}
