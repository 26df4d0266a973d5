import { expect, it, onTestFinished } from 'vitest';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { LocalWorker } from '../../../src/inference/pool/local-worker.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import { runWorker } from '../../../src/inference/worker/worker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { script } from '../../support/processes.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

/** A place where a worker can be started, and the worker's side of it here, in a pool. */
async function place(artifacts: string, pool: WorkerPool) {
  const start = (listen: string) => runWorker({ listen, artifacts, threads: 1 }, createLogger('silent'));
  const first = await start('127.0.0.1:0');
  await first.close();
  const worker = connectTo(first.address, { wanted: () => pool.wanted });
  pool.add(worker);
  return {
    worker,
    start: async () => {
      const server = await start(first.address.replace('http://', ''));
      onTestFinished(() => server.close());
    },
    untilReady: () => new Promise<void>((resolve) => worker.onReady(resolve)),
  };
}

it('loads without a worker that is down, which holds the model before it is ready', async () => {
  const artifacts = artifactFolder();
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const pool = new WorkerPool();
  const [up, down] = [await place(artifacts.dir, pool), await place(artifacts.dir, pool)];
  const ready = up.untilReady();
  await up.start();
  await ready;
  await pool.load([mean]);
  expect(down.worker.ready).toBe(false);
  const [late] = [down.untilReady(), await down.start()];
  await late;
  expect(down.worker.stats().variants).toBe(1);
  const { outputs } = await down.worker.infer(mean, pixelsOf(4));
  expect(elementsOf('FP32', outputs[0]!.data)[0]).toBe(8);
});

it('waits while no worker is ready, and is done with the first', async () => {
  const artifacts = artifactFolder();
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const pool = new WorkerPool();
  const [late, never] = [await place(artifacts.dir, pool), await place(artifacts.dir, pool)];
  const loaded = pool.load([mean]);
  await late.start();
  await loaded;
  expect([never.worker.ready, late.worker.ready]).toEqual([false, true]);
});

it('fails where every worker refuses the model, and is content where one of them holds it', async () => {
  const pool = new WorkerPool();
  const [has, hasNot] = [artifactFolder(), artifactFolder()];
  const mean = variantOf('mean', has.put(meanModel(2, 2)));
  const unknown = variantOf('unknown', 'a'.repeat(64));
  const [one, other] = [await place(has.dir, pool), await place(hasNot.dir, pool)];
  const ready = Promise.all([one.untilReady(), other.untilReady()]);
  await Promise.all([one.start(), other.start()]);
  await ready;
  await pool.load([mean]);
  expect([one.worker.stats().variants, other.worker.stats().variants]).toEqual([1, 0]);
  await expect(pool.load([unknown])).rejects.toMatchObject({ name: 'ModelLoadError', status: 404 });
});

it('a worker of this machine holds what the others do before it is ready, however late it is', async () => {
  const artifacts = artifactFolder();
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const pool = new WorkerPool();
  onTestFinished(() => pool.close());
  const open = (name: string) =>
    new LocalWorker(
      {
        ...{ name, wanted: () => pool.wanted, artifacts: artifacts.dir, threads: 1 },
        command: script('worker-main.ts'),
      },
      createLogger('silent'),
    );
  pool.add(open('local-0'));
  await pool.load([mean]);
  const late = open('local-1');
  pool.add(late);
  await new Promise<void>((resolve) => late.onReady(resolve));
  expect(late.holds('mean')).toBe(true);
});
