import { readEnvironment } from '../config/environment.ts';
import { connectEmbeddedPostgres } from '../db/embedded.ts';
import { migrate } from '../db/migrate.ts';
import { createLogger } from '../lib/logger.ts';
import { type OutputOptions, print } from './output.ts';

export async function migrateDatabase(options: OutputOptions): Promise<void> {
  const { config, secrets } = readEnvironment(process.env);
  const embedded =
    secrets.databaseUrl === null ? await connectEmbeddedPostgres(config.dataDir, createLogger('warn')) : null;
  try {
    const url = embedded?.url ?? secrets.databaseUrl!;
    const applied = await migrate(secrets.migrateUrl ?? url, { appLogin: new URL(url).username });
    const text =
      applied.length === 0
        ? 'The database is up to date.'
        : `Applied:\n${applied.map((name) => `  ${name}`).join('\n')}`;
    print(options, text, { applied });
  } finally {
    await embedded?.stop();
  }
}
