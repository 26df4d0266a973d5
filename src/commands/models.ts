import { ArtifactStore } from '../inference/artifact-store.ts';
import { OperatorError } from '../lib/errors.ts';
import { importModel } from '../models/import.ts';
import { ModelRegistry, type ServedModel } from '../models/registry.ts';
import { askForRollout } from '../models/rollout.ts';
import { withInstallation } from './installation.ts';
import { type OutputOptions, print, table } from './output.ts';
import { progress } from './progress.ts';
import { tenantNamed } from './tenants.ts';

/** A large model takes its time to be read, optimised and warmed. */
const ROLLOUT_MS = 120_000;

export async function importManifest(
  manifest: string,
  options: OutputOptions & { tenant?: string },
): Promise<void> {
  await withInstallation(async (installation) => {
    const { config, database, notifications, logger, lifetime } = installation;
    const tenant = options.tenant === undefined ? null : await tenantNamed(installation, options.tenant);
    const artifacts = new ArtifactStore(config.artifactsDir);
    const { tell, end } = progress(options);
    lifetime.own({ name: 'progress', close: async () => end() });
    const tenantId = tenant?.id ?? null;
    const model = await importModel(manifest, { tenantId, database, artifacts, logger, lifetime, tell });
    tell('waiting for the running servers to load the model');
    const { servers, confirmed } = await askForRollout(database, notifications, model, ROLLOUT_MS);
    if (confirmed < servers) {
      throw new OperatorError(
        `Imported ${describe(model)}, but ${servers - confirmed} of ${servers} running servers did not load it: their logs say why.`,
      );
    }
    const served = servers === 0 ? 'It is served from the next start on.' : 'It is served.';
    print(options, `Imported ${describe(model)}. ${served}`, { ...asJson(model), servers });
  });
}

export async function listModels(options: OutputOptions & { tenant?: string }): Promise<void> {
  await withInstallation(async (installation) => {
    const { database, notifications } = installation;
    const tenant = options.tenant === undefined ? null : await tenantNamed(installation, options.tenant);
    const registry = new ModelRegistry(database, notifications);
    const models = await registry.all(tenant?.id ?? null);
    const rows = models.map((model) => [
      `${model.name}@${model.version}`,
      model.task,
      model.variants.map(({ compression }) => compression).join(','),
      model.tenantId === null ? 'public' : 'private',
      model.license ?? '',
    ]);
    print(options, table(['MODEL', 'TASK', 'VARIANTS', 'OFFERED', 'LICENSE'], rows), models.map(asJson));
  });
}

function describe({ name, version, task, labels }: ServedModel): string {
  return `${name}@${version} (${task}, ${labels.length} labels)`;
}

function asJson({ id, name, version, task, tenantId, license, variants }: ServedModel) {
  return {
    id,
    name,
    version,
    task,
    isPublic: tenantId === null,
    license,
    variants: variants.map(({ compression, artifactSha256, sizeBytes, unitsPerImage }) => ({
      compression,
      artifactSha256,
      sizeBytes,
      unitsPerImage,
    })),
  };
}
