import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { expectBookedOnce } from '../support/booked.ts';
import { GraphqlClient, type ReceiptData } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';

/** So many workers are killed, one every two seconds. */
const kills = 4 * Number(process.env.FOVEA_TEST_CHAOS_ROUNDS ?? 1);
const EVERY_MS = 2_000;
vi.setConfig({ testTimeout: 60_000 + 2 * kills * EVERY_MS, hookTimeout: 120_000 });

const image = { base64: examplePicture() };
const errorFields = '... on ImageError { code message }';
const receipt = 'receipt { requestId images units }';
/** A request of each task, with its images. */
const requests = {
  classify: `mutation($images: [ImageInput!]!) { answer: classify(input: { model: "shapes", images: $images }) { results { __typename ${errorFields} } ${receipt} } }`,
  detect: `mutation($images: [ImageInput!]!) { answer: detect(input: { model: "shapes-detect", images: $images }) { results { __typename ${errorFields} } ${receipt} } }`,
  segment: `mutation($images: [ImageInput!]!) { answer: segment(input: { model: "shapes-segment", images: $images }) { results { __typename ${errorFields} } ${receipt} } }`,
};

interface Answer {
  readonly answer: {
    readonly results: readonly { readonly __typename: string }[];
    readonly receipt: Pick<ReceiptData, 'requestId' | 'images' | 'units'>;
  };
}

let server: TestServer;
let tenant: TestTenant;
beforeAll(async () => {
  server = await startServer({ FOVEA_WORKERS_PER_DEVICE: '2' });
  tenant = await server.createTenant();
});
afterAll(() => server.close());

/** Clients of each task that ask again as soon as they are answered. */
function startLoad() {
  const answered: Answer['answer'][] = [];
  const failed: unknown[] = [];
  let isOver = false;
  const clients = Object.values(requests).flatMap((query) =>
    [1, 3].map(async (images) => {
      const client = new GraphqlClient(server.url, tenant.key);
      while (!isOver) {
        const { data, errors } = await client.send<Answer>(query, { images: Array(images).fill(image) });
        if (data) answered.push(data.answer);
        if (errors.length > 0) failed.push(errors);
        failed.push(...(data?.answer.results ?? []).filter(({ __typename }) => __typename === 'ImageError'));
      }
    }),
  );
  const stop = async () => {
    isOver = true;
    await Promise.all(clients);
  };
  return { answered, failed, stop };
}

describe('workers of this machine that are killed under load, one every two seconds', () => {
  let load: ReturnType<typeof startLoad>;

  it('cost no request that has time left', async () => {
    load = startLoad();
    const { workers, quarantine } = server.context.pool;
    for (let killed = 0; killed < kills; killed += 1) {
      await sleep(EVERY_MS);
      const victim = workers[killed % workers.length]!;
      const before = load.answered.length;
      await vi.waitUntil(() => victim.ready, { timeout: 30_000, interval: 20 });
      process.kill(victim.stats().pid!, 'SIGKILL');
      // The other goes on.
      await vi.waitUntil(() => load.answered.length > before + 5, { timeout: 30_000, interval: 20 });
    }
    await load.stop();
    process.stdout.write(`${load.answered.length} requests were answered over ${kills} kills\n`);
    expect(load.failed).toEqual([]);
    // No model is blamed for what somebody else did.
    expect(quarantine.list()).toEqual([]);
    const restarts = workers.reduce((sum, worker) => sum + worker.stats().restarts, 0);
    expect(restarts).toBeGreaterThanOrEqual(kills - 1);
  });

  it('every answer is booked once, and nothing else is', async () => {
    await expectBookedOnce(server, tenant.id, load.answered);
  });
});
