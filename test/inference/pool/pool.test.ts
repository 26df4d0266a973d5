import { expect, it, onTestFinished, vi } from 'vitest';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { LocalWorker } from '../../../src/inference/pool/local-worker.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import { runWorker } from '../../../src/inference/worker/worker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { keepablePort } from '../../support/keepable-port.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { script } from '../../support/processes.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

const logger = createLogger('silent');
const patience = { timeout: 20_000 };

/** A place where a worker can be started, and the worker's side of it here, in a pool. */
async function place(artifacts: string, pool: WorkerPool) {
  const listen = `127.0.0.1:${await keepablePort()}`;
  const worker = connectTo(`http://${listen}`, { host: pool });
  pool.add(worker);
  return {
    worker,
    start: async () => {
      const server = await runWorker({ listen, artifacts, threads: 1 }, logger);
      onTestFinished(() => server.close());
      await vi.waitUntil(() => worker.ready, patience);
      return server;
    },
  };
}

it('loads a variant on one worker, and not on every one', async () => {
  const artifacts = artifactFolder();
  const variants = ['one', 'two', 'three'].map((key) => variantOf(key, artifacts.put(meanModel(2, 2))));
  const pool = new WorkerPool(logger);
  const places = [await place(artifacts.dir, pool), await place(artifacts.dir, pool)];
  for (const { start } of places) await start();
  await pool.load(variants);
  const held = places.map(({ worker }) => variants.filter(({ key }) => worker.holds(key)).length);
  expect(held.reduce((sum, count) => sum + count, 0)).toBe(3);
  await pool.load(variants);
  expect(places.map(({ worker }) => worker.stats().variants)).toEqual(held);
});

it('has whoever becomes ready hold what is in demand and nobody holds, and one variant at least', async () => {
  const artifacts = artifactFolder();
  const [first, last] = ['first', 'last'].map((key) => variantOf(key, artifacts.put(meanModel(2, 2))));
  const pool = new WorkerPool(logger);
  const [up, late, returning] = [
    await place(artifacts.dir, pool),
    await place(artifacts.dir, pool),
    await place(artifacts.dir, pool),
  ];
  const server = await up.start();
  await pool.load([first!, last!]);
  await late.start();
  // The other has both: the one that was asked for last, so that it can be given work at once.
  expect(['first', 'last'].map((key) => late.worker.holds(key))).toEqual([false, true]);
  await server.close();
  await vi.waitUntil(() => !up.worker.ready, patience);
  expect(up.worker.heldLately('first')).toBe(true);
  await returning.start();
  expect(['first', 'last'].map((key) => returning.worker.holds(key))).toEqual([true, true]);
  const { outputs } = await returning.worker.infer(first!, pixelsOf(4));
  expect(elementsOf('FP32', outputs[0]!.data)[0]).toBe(8);
});

it('waits while no worker is ready, and is done with the first', async () => {
  const artifacts = artifactFolder();
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const pool = new WorkerPool(logger);
  const [late, never] = [await place(artifacts.dir, pool), await place(artifacts.dir, pool)];
  const loaded = pool.load([mean]);
  await late.start();
  await loaded;
  expect([never.worker.ready, late.worker.ready]).toEqual([false, true]);
});

it('fails where every worker refuses the model, and is content where one of them holds it', async () => {
  const pool = new WorkerPool(logger);
  const [has, hasNot] = [artifactFolder(), artifactFolder()];
  const mean = variantOf('mean', has.put(meanModel(2, 2)));
  const unknown = variantOf('unknown', 'a'.repeat(64));
  const [one, other] = [await place(has.dir, pool), await place(hasNot.dir, pool)];
  await Promise.all([one.start(), other.start()]);
  await pool.load([mean]);
  expect([one.worker.holds('mean'), other.worker.holds('mean')]).toEqual([true, false]);
  await expect(pool.load([unknown])).rejects.toMatchObject({ name: 'ModelLoadError', status: 404 });
});

it('is not held up by a worker that hangs while it has nothing to do', async () => {
  const artifacts = artifactFolder();
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const pool = new WorkerPool(logger);
  onTestFinished(() => pool.close());
  const local = new LocalWorker(
    { name: 'local', host: pool, artifacts: artifacts.dir, threads: 1, command: script('worker-main.ts') },
    logger,
  );
  pool.add(local);
  await vi.waitUntil(() => local.ready, patience);
  process.kill(local.stats().pid!, 'SIGSTOP');
  await vi.waitUntil(() => local.isSilent, patience);
  const other = await place(artifacts.dir, pool);
  await other.start();
  await pool.load([mean]);
  expect(other.worker.holds('mean')).toBe(true);
});
