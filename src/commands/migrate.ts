import { migrateServer, withDatabaseServer } from './installation.ts';
import { type OutputOptions, print } from './output.ts';

export async function migrateDatabase(options: OutputOptions): Promise<void> {
  await withDatabaseServer(async (server) => {
    const applied = await migrateServer(server);
    const text =
      applied.length === 0
        ? 'The database is up to date.'
        : `Applied:\n${applied.map((name) => `  ${name}`).join('\n')}`;
    print(options, text, { applied });
  });
}
