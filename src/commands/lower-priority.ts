import { readEnvironment } from '../config/environment.ts';
import { isEmbeddedPostgresRunning } from '../db/embedded.ts';
import { lowerOwnPriority } from '../lib/priority.ts';

/**
 * Lowers the priority of a command that computes for seconds, for the sake of a service on its installation. Where no PostgreSQL
 * runs yet it is left as it is: the command starts one, at its own priority, and a server that comes meanwhile may go on with it.
 */
export function lowerPriorityBesideService(): void {
  const { config, secrets } = readEnvironment(process.env);
  if (secrets.databaseUrl !== null || isEmbeddedPostgresRunning(config.dataDir)) lowerOwnPriority();
}
