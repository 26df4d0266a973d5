import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withInstallation } from '../../src/commands/installation.ts';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { importModel } from '../../src/models/import.ts';
import { ModelRegistry, type ServedModel } from '../../src/models/registry.ts';
import { withTrials } from '../../src/models/trials.ts';
import { progress } from '../service.ts';

const builtIn = fileURLToPath(new URL('../../models/', import.meta.url));

/** Imports the built-in models and those of `folder` into the data directory of this process' settings. Answers them all. */
export function importModels(folder: string | null): Promise<ServedModel[]> {
  return withInstallation(async ({ config, database, notifications, logger, lifetime }) => {
    const artifacts = new ArtifactStore(config.artifactsDir);
    for (const manifest of [builtIn, folder].flatMap(manifestsIn)) {
      progress(`importing ${manifest}`);
      await withTrials({ artifacts, lifetime }, (trials) =>
        importModel(manifest, { tenantId: null, database, trials, logger }),
      );
    }
    return new ModelRegistry(database, notifications).all(null);
  });
}

/** `manifest.json` of each folder in it, and every other JSON file that lies in it. */
function manifestsIn(folder: string | null): string[] {
  if (folder === null) return [];
  return readdirSync(folder, { withFileTypes: true })
    .map((entry) => join(folder, entry.name, ...(entry.isDirectory() ? ['manifest.json'] : [])))
    .filter((path) => path.endsWith('.json') && existsSync(path))
    .sort();
}
