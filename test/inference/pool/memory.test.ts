import { expect, it, onTestFinished, vi } from 'vitest';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { LocalWorker, type LocalWorkerOptions } from '../../../src/inference/pool/local-worker.ts';
import type { InferenceWorker } from '../../../src/inference/pool/worker.ts';
import { noHost, type WorkerHost } from '../../../src/inference/pool/worker-host.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { heavyModel, meanModel, slowOnBrightModel } from '../../support/onnx-fixture.ts';
import { firstLine, isAlive, script, spawnScript } from '../../support/processes.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

const MIB = 2 ** 20;
const patience = { timeout: 60_000 };
vi.setConfig({ testTimeout: 120_000 });

function startLocalWorker(options: Partial<LocalWorkerOptions>, logger = createLogger('silent')) {
  const artifacts = artifactFolder();
  // As an operator's do, they take the memory that stripping types takes: see `stripped-sources.js`.
  const own = {
    threads: 1,
    command: script('worker-main.ts'),
    lookMs: 50,
    environment: { NODE_OPTIONS: '' },
  };
  const worker = new LocalWorker({ artifacts: artifacts.dir, ...own, ...options }, logger);
  onTestFinished(() => worker.close());
  const meanOfFours = async (variant: Variant) => {
    const { outputs } = await worker.infer(variant, pixelsOf(4));
    return elementsOf('FP32', outputs[0]!.data)[0];
  };
  return { worker, artifacts, meanOfFours };
}

it('has models loaded again that its process had to unload, and no batch fails of it', async () => {
  const { worker, artifacts, meanOfFours } = startLocalWorker({ memoryBytes: 280 * MIB });
  const variants = ['a', 'b'].map((key) => variantOf(key, artifacts.put(heavyModel(2, 60, key))));
  const answers = variants.map(async (variant) => {
    const found = [];
    for (let times = 0; times < 8; times += 1) found.push(await meanOfFours(variant));
    return found;
  });
  expect(await Promise.all(answers)).toEqual([Array(8).fill(4), Array(8).fill(4)]);
  // They do not fit beside each other, and it is known which of them is there.
  await vi.waitUntil(() => worker.stats().memory?.models.size === 1, patience);
  const [held] = worker.stats().memory!.models.keys();
  await vi.waitUntil(() => variants.every(({ key }) => worker.holds(key) === (key === held)), patience);
  // A load takes more for a moment than the model does then.
  await vi.waitUntil(() => worker.stats().memory?.isExceeded === false, patience);
  const { restarts, memory } = worker.stats();
  expect(restarts).toBe(0);
  expect(memory).toMatchObject({ budgetBytes: 280 * MIB });
});

it('tells what is too large for its memory, and goes on', async () => {
  const { artifacts, meanOfFours } = startLocalWorker({ memoryBytes: 280 * MIB });
  const huge = variantOf('huge', artifacts.put(heavyModel(2, 270)));
  await expect(meanOfFours(huge)).rejects.toMatchObject({
    name: 'ModelLoadError',
    message: expect.stringMatching(/takes 270 MiB, .* raise --memory, or FOVEA_WORKER_MEMORY$/),
  });
  expect(await meanOfFours(variantOf('mean', artifacts.put(meanModel(2, 1))))).toBe(4);
});

it.each([
  ['this machine', false],
  ['another', true],
])(
  'on %s, holds the small ones that are wanted when it is ready, though a large one before them finds no room',
  async (_, isRemote) => {
    const artifacts = artifactFolder();
    const huge = variantOf('huge', artifacts.put(heavyModel(2, 270)));
    const mean = variantOf('mean', artifacts.put(meanModel(2, 1)));
    const host: WorkerHost = { ...noHost, wanted: [huge, mean] };
    let worker: InferenceWorker;
    if (isRemote) {
      const options = ['--artifacts', artifacts.dir, '--memory', String(280 * MIB)];
      worker = connectTo(await firstLine(spawnScript('worker-main.ts', ...options)), { host });
    } else ({ worker } = startLocalWorker({ memoryBytes: 280 * MIB, host, artifacts: artifacts.dir }));
    await vi.waitUntil(() => worker.ready, patience);
    expect([huge, mean].map(({ key }) => worker.holds(key))).toEqual([false, true]);
  },
);

it('puts another process in the place of one that leaks, which answers what it has first', async () => {
  const { worker, artifacts, meanOfFours } = startLocalWorker({
    ...{ memoryBytes: 300 * MIB, recycleMs: 100 },
    command: [...script('worker-main.ts'), 'leaking'],
  });
  const mean = variantOf('mean', artifacts.put(meanModel(2, 1)));
  expect(await meanOfFours(mean)).toBe(4);
  const pids = new Set<number>();
  let answered = 0;
  while (worker.stats().recycled < 2) {
    // No load is waited for: whoever takes the place holds what is held.
    expect(worker.holds('mean')).toBe(true);
    pids.add(worker.stats().pid!);
    expect(await meanOfFours(mean)).toBe(4);
    answered += 1;
  }
  expect(answered).toBeGreaterThan(10);
  expect(worker.stats().restarts).toBe(0);
  pids.delete(worker.stats().pid!);
  expect(pids.size).toBeGreaterThanOrEqual(2);
  await vi.waitUntil(() => [...pids].every((pid) => !isAlive(pid)), patience);
});

it('does not take for its successor what its predecessor says of itself, late', async () => {
  const command = [...script('worker-main.ts'), 'leaking'];
  const replacements: Promise<unknown>[] = [];
  let isAnswered = false;
  const { worker, artifacts } = startLocalWorker(
    { command, memoryBytes: 300 * MIB, recycleMs: 0 },
    createLogger('warn', {
      write: (line) => {
        if (!line.includes('another takes its place')) return;
        command.splice(command.indexOf('leaking'), 1);
        // So that it is silent until another has taken its place.
        const batch = worker.infer(slow, pixelsOf(22)).then(() => {
          isAnswered = true;
        });
        replacements.push(batch);
      },
    }),
  );
  const slow = variantOf('slow', artifacts.put(slowOnBrightModel(2)));
  await worker.ensureLoaded(slow);
  const { pid } = worker.stats();
  await vi.waitUntil(() => worker.stats().recycled > 0, patience);
  expect([worker.stats().pid === pid, isAlive(pid!), isAnswered]).toEqual([false, true, false]);
  await replacements[0];
  await vi.waitUntil(() => !isAlive(pid!), patience);
  expect(worker.stats()).toMatchObject({ recycled: 1, restarts: 0, memory: { isExceeded: false } });
  expect(replacements).toHaveLength(1);
});

it('loads what is wanted alone, where the one whose place is to be taken is lost meanwhile', async () => {
  const wanted: Variant[] = [];
  const { worker, artifacts, meanOfFours } = startLocalWorker(
    {
      ...{ command: [...script('worker-main.ts'), 'leaking'], memoryBytes: 300 * MIB },
      host: { ...noHost, wanted },
    },
    createLogger('warn', {
      write: (line) => {
        if (line.includes('another takes its place')) process.kill(worker.stats().pid!, 'SIGKILL');
      },
    }),
  );
  const held = ['a', 'b', 'c', 'd'].map((key) => variantOf(key, artifacts.put(meanModel(2, 1))));
  for (const variant of held) await worker.ensureLoaded(variant);
  wanted.push(held[2]!);
  await vi.waitUntil(() => worker.stats().restarts > 0, patience);
  await vi.waitUntil(() => worker.ready, patience);
  expect(held.map(({ key }) => worker.holds(key))).toEqual([false, false, true, false]);
  expect(worker.stats()).toMatchObject({ recycled: 0, restarts: 1 });
  expect(await meanOfFours(held[0]!)).toBe(4);
});
