import { OipClient } from '../../src/inference/oip/client.ts';

/** `ask-worker.ts <base URL> [<address>]`: prints why the worker is not ready, or `ready`. */
const [baseUrl = '', address] = process.argv.slice(2);
const client = new OipClient({ baseUrl, ...(address !== undefined && { address }) });
const answer = await client.requireReady(AbortSignal.timeout(20_000)).then(
  () => 'ready',
  (error: Error) => error.message,
);
process.stdout.write(`${answer}\n`);
await client.close();
