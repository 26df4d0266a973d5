import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endable } from '../src/commands/ending.ts';
import { startEmbeddedPostgres } from '../src/db/embedded.ts';
import { migrateInstallation } from '../src/db/migrate-installation.ts';
import { Lifetime } from '../src/lib/lifetime.ts';
import { createLogger } from '../src/lib/logger.ts';
import { Generator } from './load/start-generator.ts';
import type { BenchModel } from './models.ts';
import { USUAL_SIZE, writePictures } from './pictures.ts';
import { command, type Environment, type Started, startApi, startWorker } from './processes.ts';
import { progress } from './service.ts';
import { createTenants, type WantedTenant } from './tenants.ts';

/** Where a bench plays: an installation in a folder of its own, and all that was started on it, which ends with the bench. */
export class Stage {
  /** For files of the bench. */
  readonly folder: string;
  readonly databaseUrl: string;
  readonly #lifetime: Lifetime;

  constructor(folder: string, databaseUrl: string, lifetime: Lifetime) {
    this.folder = folder;
    this.databaseUrl = databaseUrl;
    this.#lifetime = lifetime;
  }

  /** For whatever works on this installation. */
  get environment(): Environment {
    return { FOVEA_DATA_DIR: join(this.folder, 'data'), DATABASE_URL: this.databaseUrl };
  }

  /** Ends `started` with the bench, unless it ended before. */
  own<T extends Pick<Started, 'stop'>>(name: string, started: T): T {
    this.#lifetime.own({ name, close: () => started.stop() });
    return started;
  }

  async api(settings: Environment = {}): Promise<Started> {
    return this.own('API', await startApi({ ...this.environment, ...settings }));
  }

  async worker(settings: Environment = {}): Promise<Started> {
    return this.own('worker', await startWorker({ ...this.environment, ...settings }));
  }

  async generator(): Promise<Generator> {
    const generator = await Generator.start();
    this.#lifetime.own({ name: 'load generator', close: () => generator.close() });
    return generator;
  }

  /** An API key by tenant. */
  tenants(wanted: readonly WantedTenant[]): Promise<Record<string, string>> {
    return createTenants(this.databaseUrl, wanted);
  }

  /** Offered to every tenant, or to one. What comes with Fovea is there from the first start on. */
  async import(model: BenchModel, tenant?: string): Promise<void> {
    if (model.isBuiltIn && tenant === undefined) return;
    progress(`importing ${model.name}`);
    const to = tenant === undefined ? [] : ['--tenant', tenant];
    await command(this.environment, 'models', 'import', model.manifest, ...to, '--json');
  }

  /** JPEGs, no two with the same pixels: of photographs, or drawn. */
  async pictures(count: number, photographs: string | null, size = USUAL_SIZE): Promise<Buffer[]> {
    progress(`making ${count} pictures of ${size.width} × ${size.height}`);
    const folder = join(this.folder, 'pictures');
    await writePictures(folder, count, photographs, size);
    return readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  }

  /** The file of a model as the service stores it, pre-processing inside. */
  async graphOf({ name, version }: Pick<BenchModel, 'name' | 'version'>): Promise<string> {
    const listed = JSON.parse(await command(this.environment, 'models', 'list', '--json')) as {
      name: string;
      version: number;
      variants: { compression: string; artifactSha256: string }[];
    }[];
    const { artifactSha256: sha256 } = listed
      .find((model) => model.name === name && model.version === version)!
      .variants.find(({ compression }) => compression === 'NONE')!;
    return join(this.environment.FOVEA_DATA_DIR!, 'artifacts', 'sha256', sha256.slice(0, 2), sha256);
  }
}

/** Sets a stage, has `play` on it, and clears it away: also where the bench fails, or is told to end. */
export async function onStage<T>(play: (stage: Stage) => Promise<T>): Promise<T> {
  const logger = createLogger('warn');
  const lifetime = new Lifetime(logger);
  return endable(lifetime, { logger, exitCode: 130 }, async () => {
    try {
      const folder = mkdtempSync(join(tmpdir(), 'fovea-bench-'));
      const clear = async () => rmSync(folder, { recursive: true, force: true });
      lifetime.own({ name: 'folder', close: clear });
      const dataDir = join(folder, 'data');
      mkdirSync(dataDir);
      const postgres = await startEmbeddedPostgres(dataDir, logger, { signal: lifetime.signal });
      lifetime.own({
        name: 'PostgreSQL',
        close: () => postgres.stop(),
        killNow: () => postgres.killNow(),
      });
      await migrateInstallation(postgres.url, null);
      return await play(new Stage(folder, postgres.url, lifetime));
    } finally {
      await lifetime.close();
    }
  });
}
