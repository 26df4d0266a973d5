import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { expectBookedOnce } from '../support/booked.ts';
import { FoveaWorker } from '../support/fovea-worker.ts';
import { GraphqlClient, type ReceiptData } from '../support/graphql-client.ts';
import { openServer } from '../support/open-server.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';

/** How often each disturbance comes, to one worker after the other. */
const rounds = Number(process.env.FOVEA_TEST_CHAOS_ROUNDS ?? 1);
const WORKERS = 2;
const clientCount = 8;
const patience = { timeout: 60_000, interval: 20 };
vi.setConfig({ testTimeout: 120_000 * rounds, hookTimeout: 120_000 });

const cleanUps: (() => void)[] = [];
let workers: FoveaWorker[];
let first: TestServer;
let second: Awaited<ReturnType<typeof openServer>>;
let tenant: TestTenant;

beforeAll(async () => {
  const token = 'only-these-workers-take-it';
  const start = () => FoveaWorker.start({ token, atEnd: (clean) => cleanUps.push(clean) });
  workers = await Promise.all(Array.from({ length: WORKERS }, start));
  const environment = {
    FOVEA_WORKERS: workers.map(({ address }) => address).join(),
    FOVEA_WORKER_TOKEN: token,
  };
  first = await startServer(environment);
  second = await openServer(first, environment);
  tenant = await first.createTenant();
});
afterAll(async () => {
  await second.close();
  await first.close();
  for (const clean of cleanUps) clean();
});

interface Answered {
  readonly receipt: ReceiptData;
  readonly at: number;
  readonly ms: number;
}

/** Clients that ask both servers, one request after the other, until they are told to stop. */
function startLoad() {
  const answered: Answered[] = [];
  const refused: unknown[] = [];
  let stopped = false;
  const image = { base64: examplePicture() };
  const clients = Array.from({ length: clientCount }, async (_, n) => {
    const client = new GraphqlClient([first, second][n % 2]!.url, tenant.key);
    while (!stopped) {
      const sentAt = performance.now();
      // Some have so many that images always wait, as a model's second worker, or its first again, is for those alone.
      const { data, errors } = await client.classify({ images: Array(n < 6 ? 1 : 32).fill(image) });
      const at = performance.now();
      if (data) answered.push({ receipt: data.classify.receipt, at, ms: at - sentAt });
      if (errors.length > 0) refused.push(errors);
      for (const result of data?.classify.results ?? []) if ('code' in result) refused.push(result);
    }
  });
  return {
    answered,
    refused,
    stop: async () => {
      stopped = true;
      await Promise.all(clients);
    },
  };
}
type Load = ReturnType<typeof startLoad>;

/** Batches that a worker has answered to either server. */
async function answersOf({ address }: FoveaWorker): Promise<number> {
  const counts = [first, second].map(async ({ url }) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const line = text
      .split('\n')
      .find((each) => each.startsWith(`fovea_worker_batches_total{worker="${address}"}`));
    return Number(line?.split(' ')[1]);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** Of the batches answered within `ms`, the part that was answered by `worker`; null: none was answered. */
async function shareOf(worker: FoveaWorker, ms: number): Promise<number | null> {
  const other = workers.find((each) => each !== worker)!;
  const count = async () => ({ own: await answersOf(worker), others: await answersOf(other) });
  const before = await count();
  await sleep(ms);
  const after = await count();
  const [own, others] = [after.own - before.own, after.others - before.others];
  return own + others > 0 ? own / (own + others) : null;
}

async function untilShare(worker: FoveaWorker, fits: (share: number) => boolean): Promise<number> {
  const start = performance.now();
  await vi.waitUntil(async () => {
    const share = await shareOf(worker, 250);
    return share !== null && fits(share);
  }, patience);
  return Math.round(performance.now() - start);
}

interface Disturbance {
  readonly name: string;
  /** Begins it; what is answered ends it. */
  begin(worker: FoveaWorker): () => Promise<void>;
}

const disturbances: Disturbance[] = [
  {
    name: 'killed',
    begin(worker) {
      worker.kill();
      return () => worker.restart();
    },
  },
  {
    name: 'hung',
    begin(worker) {
      worker.signal('SIGSTOP');
      return async () => worker.signal('SIGCONT');
    },
  },
  {
    name: 'slowed down',
    begin(worker) {
      let isSlow = true;
      const slow = (async () => {
        while (isSlow) {
          worker.signal('SIGSTOP');
          await sleep(200);
          worker.signal('SIGCONT');
          await sleep(20);
        }
      })();
      return async () => {
        isSlow = false;
        await slow;
      };
    },
  },
];

async function disturb(load: Load, { name, begin }: Disturbance, index: number): Promise<void> {
  const worker = workers[index]!;
  await untilShare(worker, (share) => share > 0.2);
  const begunAt = performance.now();
  const end = begin(worker);
  const shiftedMs = await untilShare(worker, (share) => share < 0.1);
  await sleep(1_000);
  const longest = Math.max(...load.answered.filter(({ at }) => at > begunAt).map(({ ms }) => ms));
  await end();
  const returnedMs = await untilShare(worker, (share) => share > 0.2);
  process.stdout.write(
    `worker ${index} ${name}: traffic shifted within ${shiftedMs} ms, the slowest answer took ${Math.round(longest)} ms; ` +
      `it was back ${returnedMs} ms after its recovery\n`,
  );
}

describe('two workers behind two servers, one killed, hung or slowed down at a time under load', () => {
  let load: Load;
  beforeAll(async () => {
    load = startLoad();
  });

  const turns = Array.from({ length: rounds }).flatMap((_, round) =>
    disturbances.map((disturbance, n) => {
      const index = (round + n) % WORKERS;
      return { disturbance, index, title: `${disturbance.name}: worker ${index}, round ${round}` };
    }),
  );
  it.each(turns)('traffic goes to the other and comes back ($title)', async ({ disturbance, index }) => {
    await disturb(load, disturbance, index);
  });

  it('no request failed', async () => {
    await load.stop();
    process.stdout.write(`${load.answered.length} requests were answered\n`);
    expect(load.refused).toEqual([]);
    expect(load.answered.length).toBeGreaterThan(50);
  });

  it('every answer is booked once, and nothing else is', async () => {
    await expectBookedOnce(first, tenant.id, load.answered);
  });
});
