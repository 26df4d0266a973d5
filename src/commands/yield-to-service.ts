import { readEnvironment } from '../config/environment.ts';
import { isEmbeddedPostgresRunning } from '../db/embedded.ts';
import { yieldCommand } from '../lib/background.ts';

/**
 * Has a command that computes for seconds yield the processors to a service that may run on its installation. A PostgreSQL that
 * the command has to start itself may be taken over by a server that starts meanwhile, and must not yield for ever: so it does not
 * where there is none yet, and no service either.
 */
export function yieldToService(): void {
  const { config, secrets } = readEnvironment(process.env);
  if (secrets.databaseUrl !== null || isEmbeddedPostgresRunning(config.dataDir)) yieldCommand();
}
