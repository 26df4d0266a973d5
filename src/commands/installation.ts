import { type Environment, readEnvironment } from '../config/environment.ts';
import { type Database, openDatabase } from '../db/database.ts';
import { connectEmbeddedPostgres } from '../db/embedded.ts';
import { migrateInstallation } from '../db/migrate-installation.ts';
import { type Notifications, openNotifications } from '../db/notifications.ts';
import { Lifetime } from '../lib/lifetime.ts';
import { createLogger, type Logger } from '../lib/logger.ts';
import { endable } from './ending.ts';

/** What a command works on: the installation of this data directory or `DATABASE_URL`, whether its server runs or not. */
export interface Installation extends Pick<Environment, 'config'> {
  readonly database: Database;
  readonly notifications: Notifications;
  readonly logger: Logger;
  readonly lifetime: Lifetime;
}

/** Opens the installation for `work`, and closes it whether `work` succeeds, fails or is interrupted. */
export function withInstallation<T>(work: (installation: Installation) => Promise<T>): Promise<T> {
  return withDatabaseServer(async (server) => {
    const { url, logger, lifetime, config } = server;
    await migrateServer(server);
    const database = openDatabase(url, { poolSize: 2 });
    lifetime.own({ name: 'database', close: () => database.close() });
    const notifications = await openNotifications(url, logger);
    lifetime.own({ name: 'notifications', close: () => notifications.close() });
    return work({ config, database, notifications, logger, lifetime });
  });
}

interface DatabaseServer extends Omit<Environment, 'unknown'> {
  readonly url: string;
  readonly logger: Logger;
  readonly lifetime: Lifetime;
}

/** The database as it stands, migrated or not: the one named by `DATABASE_URL`, or that of the data directory. */
export function withDatabaseServer<T>(work: (server: DatabaseServer) => Promise<T>): Promise<T> {
  const { config, secrets } = readEnvironment(process.env);
  const logger = createLogger(config.logLevel === 'info' ? 'warn' : config.logLevel);
  const lifetime = new Lifetime(logger);
  return endable(lifetime, { logger, exitCode: 130 }, async () => {
    try {
      let url = secrets.databaseUrl;
      if (url === null) {
        const embedded = await connectEmbeddedPostgres(config.dataDir, logger, { signal: lifetime.signal });
        // Never killed: a server that runs may use it too.
        lifetime.own({ name: 'embedded PostgreSQL', close: () => embedded.stop() });
        url = embedded.url;
      }
      return await work({ config, secrets, url, logger, lifetime });
    } finally {
      await lifetime.close();
    }
  });
}

/** Brings the database to the present schema. @returns the migrations it lacked */
export function migrateServer({ url, secrets }: Pick<DatabaseServer, 'url' | 'secrets'>): Promise<string[]> {
  return migrateInstallation(url, secrets.migrateUrl);
}
