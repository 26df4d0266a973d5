import { type Environment, readEnvironment } from '../config/environment.ts';
import { type Database, openDatabase } from '../db/database.ts';
import { connectEmbeddedPostgres } from '../db/embedded.ts';
import { migrate } from '../db/migrate.ts';
import { type Notifications, openNotifications } from '../db/notifications.ts';
import { createLogger, type Logger } from '../lib/logger.ts';

/** What a command works on: the installation of this data directory or `DATABASE_URL`, whether its server runs or not. */
export interface Installation extends Environment {
  readonly database: Database;
  readonly notifications: Notifications;
  readonly logger: Logger;
}

export async function withInstallation<T>(work: (installation: Installation) => Promise<T>): Promise<T> {
  const environment = readEnvironment(process.env);
  const { config, secrets } = environment;
  const logger = createLogger(process.env.FOVEA_LOG_LEVEL ? config.logLevel : 'warn');
  const embedded =
    secrets.databaseUrl === null ? await connectEmbeddedPostgres(config.dataDir, logger) : null;
  try {
    const url = embedded?.url ?? secrets.databaseUrl!;
    await migrate(secrets.migrateUrl ?? url, { appLogin: new URL(url).username });
    const database = openDatabase(url, { poolSize: 2 });
    try {
      const notifications = await openNotifications(url, logger);
      try {
        return await work({ ...environment, database, notifications, logger });
      } finally {
        await notifications.close();
      }
    } finally {
      await database.close();
    }
  } finally {
    await embedded?.stop();
  }
}
