import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { SERVER_CONNECTION } from '../src/models/rollout.ts';
import { generateApiKey } from '../src/tenants/key-format.ts';
import { percentile } from './load/figures.ts';
import { readOptions } from './options.ts';
import { columns, figure, tell } from './report.ts';
import { progress } from './service.ts';
import { onStage } from './stage.ts';

const USAGE = `npm run bench -- revocation [options]

How long a revoked API key is still accepted, by the process that revoked it and by another one that has the key in its memory:
milliseconds from the answer to revokeApiKey until each refuses it. And the same for keys that are revoked just after the other
process has lost the connection on which it hears of changes.

  --keys n             revoked in all, every tenth of them with the connection cut (1000)
  --json               one line of JSON in the place of the table
`;

const CUT_EVERY = 10;
const PAUSE_MS = 120;

type Case = 'here' | 'elsewhere' | 'elsewhere, connection cut';

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 1, rounds: 1, keys: 1_000 });
  if (!options) return;
  await onStage(async (stage) => {
    const operatorKey = generateApiKey().text;
    const [here, other] = [
      await stage.api({ FOVEA_INIT_API_KEY: operatorKey }),
      await stage.api({ FOVEA_INIT_API_KEY: operatorKey }),
    ];
    const owner = new pg.Client(stage.databaseUrl);
    await owner.connect();
    const times: Record<Case, number[]> = { here: [], elsewhere: [], 'elsewhere, connection cut': [] };
    try {
      for (let n = 1; n <= options.keys; n++) {
        const { createApiKey } = await ask<{ createApiKey: { secret: string; apiKey: { id: string } } }>(
          here.url,
          operatorKey,
          'mutation { createApiKey(input: { name: "bench" }) { secret apiKey { id } } }',
        );
        const { secret, apiKey } = createApiKey;
        await untilKnown(other.url, secret);
        const isCut = n % CUT_EVERY === 0;
        if (isCut) await cutListeners(owner);
        await ask(here.url, operatorKey, 'mutation($id: ID!) { revokeApiKey(id: $id) { id } }', {
          id: apiKey.id,
        });
        const from = performance.now();
        const refusedAt = async (url: string) => {
          while (await isAccepted(url, secret));
          return performance.now() - from;
        };
        const [hereMs, otherMs] = await Promise.all([refusedAt(here.url), refusedAt(other.url)]);
        times.here.push(hereMs);
        times[isCut ? 'elsewhere, connection cut' : 'elsewhere'].push(otherMs);
        // Whoever presents more unknown keys a second than these is held back.
        await delay(PAUSE_MS);
        if (n % 100 === 0) progress(`${n} of ${options.keys} keys are revoked`);
      }
    } finally {
      await owner.end();
    }
    const result = Object.entries(times).map(([name, ms]) => ({
      case: name,
      keys: ms.length,
      p50: percentile(ms, 50),
      p99: percentile(ms, 99),
      max: percentile(ms, 100),
    }));
    const rows = result.map(({ case: name, keys, p50, p99, max }) => [name, keys, p50, p99, max]);
    const slowest = Math.max(...result.map(({ max }) => max));
    tell(
      options.json,
      result,
      `${columns(['refused', 'keys', 'p50, ms', 'p99, ms', 'longest, ms'], rows)}\nno key was accepted for longer than ${figure(slowest)} ms after its revocation was answered`,
    );
  });
}

/** A process believes what it has heard of: only then is there something that it has to forget. */
async function untilKnown(url: string, key: string): Promise<void> {
  for (let times = 0; times < 2; ) if (await isAccepted(url, key)) times += 1;
}

async function isAccepted(url: string, key: string): Promise<boolean> {
  const { status } = await send(url, key, '{ quota { used } }');
  if (status !== 200 && status !== 401) throw new Error(`A key was answered with ${status}`);
  return status === 200;
}

/** Ends the connections on which servers hear of changes. */
async function cutListeners(owner: pg.Client): Promise<void> {
  await owner.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1',
    [SERVER_CONNECTION],
  );
}

async function ask<Data>(url: string, key: string, query: string, variables = {}): Promise<Data> {
  const answer = await send(url, key, query, variables);
  const { data, errors } = (await answer.json()) as { data: Data | null; errors?: unknown };
  if (!data) throw new Error(`${query} was answered with ${JSON.stringify(errors)}`);
  return data;
}

function send(url: string, key: string, query: string, variables = {}): Promise<Response> {
  return fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables }),
  });
}
