import { expect, it, onTestFinished, vi } from 'vitest';
import { ArtifactStore } from '../../../src/inference/artifact-store.ts';
import { DnsWorkers } from '../../../src/inference/pool/dns-workers.ts';
import { openWorkers } from '../../../src/inference/pool/open-workers.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import { runWorker } from '../../../src/inference/worker/worker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { slowOnBrightModel } from '../../support/onnx-fixture.ts';
import { connectTo, tensorThreads } from '../../support/remote-worker.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

const patience = { timeout: 20_000 };

async function startServer(artifacts: string) {
  const server = await runWorker({ listen: '127.0.0.1:0', artifacts, threads: 1 }, createLogger('silent'));
  onTestFinished(() => server.close());
  return server;
}

function openPool(): WorkerPool {
  const pool = new WorkerPool(createLogger('silent'));
  onTestFinished(() => pool.close());
  return pool;
}

it('has a worker for each address, and answers what runs on one that vanishes before it is closed', async () => {
  const artifacts = artifactFolder();
  const servers = new Map([
    ['192.0.2.1', await startServer(artifacts.dir)],
    ['192.0.2.2', await startServer(artifacts.dir)],
  ]);
  const pool = openPool();
  let addresses = ['192.0.2.1'];
  const follower = new DnsWorkers(
    pool,
    {
      name: 'workers.test',
      everyMs: 10,
      resolve: async (name) => (name === 'workers.test' ? addresses : []),
      open: (address) => connectTo(servers.get(address)!.address, { host: pool }),
    },
    createLogger('silent'),
  );
  pool.follow(follower);
  const slow = variantOf('slow', artifacts.put(slowOnBrightModel(2)));
  await pool.load([slow]);
  const [first] = pool.workers;

  addresses = ['192.0.2.1', '192.0.2.2'];
  await vi.waitUntil(() => pool.workers.length === 2 && pool.workers.every(({ ready }) => ready), patience);
  // It holds what the other does before it is ready.
  expect(pool.workers[1]!.stats().variants).toBe(1);

  const answer = first!.infer(slow, pixelsOf(19));
  addresses = ['192.0.2.2'];
  await vi.waitUntil(() => pool.workers.length === 1, patience);
  expect(pool.workers).not.toContain(first);
  expect((await answer).outputs).toHaveLength(1);
  await vi.waitUntil(() => first!.stats().state === 'closed', patience);
});

it('keeps the workers it has while the name cannot be resolved, and says so once', async () => {
  const artifacts = artifactFolder();
  const server = await startServer(artifacts.dir);
  const lines: string[] = [];
  const pool = openPool();
  let resolve = async () => ['192.0.2.1'];
  let asked = 0;
  const follower = new DnsWorkers(
    pool,
    {
      name: 'workers.test',
      everyMs: 5,
      resolve: () => {
        asked += 1;
        return resolve();
      },
      open: () => connectTo(server.address),
    },
    createLogger('warn', { write: (line) => lines.push(line) }),
  );
  pool.follow(follower);
  await vi.waitUntil(() => pool.ready, patience);
  const { workers } = pool;
  for (const broken of [() => Promise.reject(new Error('SERVFAIL')), async () => []]) {
    resolve = broken;
    const before = asked;
    await vi.waitUntil(() => asked > before + 3, patience);
  }
  expect(pool.workers).toEqual(workers);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ name: 'workers.test', reason: 'SERVFAIL' }]);
});

it('finds the worker of this machine by the name that every system resolves', async () => {
  const artifacts = artifactFolder();
  const server = await startServer(artifacts.dir);
  const pool = openPool();
  openWorkers(pool, `dns+${server.address.replace('127.0.0.1', 'localhost')}`, {
    logger: createLogger('silent'),
    token: null,
    artifacts: new ArtifactStore(artifacts.dir),
    threads: tensorThreads(),
  });
  await vi.waitUntil(() => pool.ready, patience);
  expect(pool.workers.map(({ name }) => name)).toContain(`${server.address} of localhost`);
});
