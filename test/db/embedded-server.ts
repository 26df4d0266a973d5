// A process that serves from the data directory it is given until it is killed, for tests of what it leaves behind.
import { startEmbeddedPostgres } from '../../src/db/embedded.ts';
import { createLogger } from '../../src/lib/logger.ts';

const postgres = await startEmbeddedPostgres(process.argv[2]!, createLogger('silent'));
process.stdout.write(`${postgres.url}\n`);
setInterval(() => {}, 60_000);
