import { join, resolve } from 'node:path';
import { ArtifactStore } from '../inference/artifact-store.ts';
import { OperatorError } from '../lib/errors.ts';
import { exportModel } from '../models/export/export-model.ts';
import type { ExportTarget } from '../models/export/lay-out.ts';
import { importModel } from '../models/import.ts';
import { ModelRegistry, type ServedModel } from '../models/registry.ts';
import { askForRollout } from '../models/rollout.ts';
import { withTrials } from '../models/trials.ts';
import { withInstallation } from './installation.ts';
import { type OutputOptions, print, table } from './output.ts';
import { progress } from './progress.ts';
import { tenantNamed } from './tenants.ts';

/** A large model takes its time to be read, optimised and warmed. */
const ROLLOUT_MS = 300_000;

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
    const { tensorFlow } = config;
    let servers = 0;
    const model = await withTrials({ artifacts, lifetime, tensorFlow }, (trials) =>
      importModel(manifest, {
        ...{ tenantId, database, trials, logger, tell },
        async rollOut(proven) {
          await trials.end(); // Its memory is for the servers' workers now.
          tell('waiting for the running servers to load the model');
          const outcome = await askForRollout(database, notifications, proven, ROLLOUT_MS);
          servers = outcome.servers;
          if (outcome.loaded === servers) return;
          const {
            loaded,
            reason = `they did not answer within ${ROLLOUT_MS / 1_000} s; their logs say more`,
          } = outcome;
          throw new OperatorError(
            `${describe(proven)} is stored, but not live: ${servers - loaded} of ${servers} running servers did not load it: ${reason}. Import it again once that is mended.`,
          );
        },
      }),
    );
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

export async function exportToServer(
  reference: string,
  options: OutputOptions & { tenant?: string; triton?: string; tfserving?: string },
): Promise<void> {
  const [target, folder] = targetOf(options);
  await withInstallation(async (installation) => {
    const { config, database, notifications } = installation;
    const tenant = options.tenant === undefined ? null : await tenantNamed(installation, options.tenant);
    const model = await new ModelRegistry(database, notifications).find(tenant?.id ?? null, reference);
    if (model === null) {
      const whose =
        tenant === null ? 'public models, and --tenant for its own' : `what '${options.tenant}' sees`;
      throw new OperatorError(`There is no model '${reference}'. \`fovea models list\` names ${whose}.`);
    }
    const artifacts = new ArtifactStore(config.artifactsDir);
    const repository = resolve(folder);
    const exported = await exportModel(model, { target, repository, artifacts });
    const lines = exported.map(({ compression, name, version, written }) => {
      const place = join(repository, name, String(version));
      return `${compression}: ${place}${written ? '' : ', which was there already'}`;
    });
    const own =
      model.tenantId === null
        ? ''
        : "\nFovea asks for a tenant's own model by this name, since others may have one of its own name.";
    print(options, `Exported ${describe(model)}.\n${lines.join('\n')}${own}`, { repository, exported });
  });
}

function targetOf({ triton, tfserving }: { triton?: string; tfserving?: string }): [ExportTarget, string] {
  if (triton !== undefined && tfserving === undefined) return ['triton', triton];
  if (tfserving !== undefined && triton === undefined) return ['tfserving', tfserving];
  throw new OperatorError('Say for which server: --triton <dir> or --tfserving <dir>.', 2);
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
