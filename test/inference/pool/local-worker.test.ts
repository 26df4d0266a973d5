import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { OipError, WorkerLostError } from '../../../src/inference/oip/errors.ts';
import { LocalWorker, type LocalWorkerOptions } from '../../../src/inference/pool/local-worker.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { meanModel, slowOnBrightModel } from '../../support/onnx-fixture.ts';
import { exited, firstLine, isAlive, script, spawnScript } from '../../support/processes.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

const image = pixelsOf(4);
/** For `slowOnBrightModel`: longer than any test waits, so that it ends by a kill alone. */
const forever = pixelsOf(40);
const aWhile = pixelsOf(19);

const patience = { timeout: 20_000 };

function startLocalWorker(options: Partial<LocalWorkerOptions> = {}) {
  const artifacts = artifactFolder();
  const worker = new LocalWorker(
    { artifacts: artifacts.dir, threads: 1, command: script('worker-main.ts'), ...options },
    createLogger('silent'),
  );
  onTestFinished(() => worker.close());
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const slow = variantOf('slow', artifacts.put(slowOnBrightModel(2)));
  return { worker, artifacts, mean, slow };
}

async function meanOfFours(
  worker: LocalWorker,
  variant: ReturnType<typeof variantOf>,
): Promise<number | undefined> {
  const { outputs } = await worker.infer(variant, image);
  return elementsOf('FP32', outputs[0]!.data)[0];
}

/** Until `restarts` processes were replaced. Patient: the tests share their processors. */
function replaced(worker: LocalWorker, restarts: number): Promise<boolean> {
  return vi.waitUntil(() => worker.stats().restarts >= restarts, patience);
}

async function lost(batch: Promise<unknown>): Promise<unknown> {
  const error = await batch.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(WorkerLostError);
  return error;
}

it('starts a worker, loads what is asked for and runs it', async () => {
  const { worker, mean } = startLocalWorker();
  expect(worker.ready).toBe(false);
  expect(worker.stats()).toMatchObject({ state: 'starting', restarts: 0 });
  const ready = vi.fn();
  worker.onReady(ready);
  await worker.ensureLoaded(mean);
  expect(ready).toHaveBeenCalledOnce();
  expect(worker.ready).toBe(true);
  const answer = await worker.infer(mean, image);
  expect(answer).toMatchObject({
    device: 'cpu',
    outputs: [{ name: 'means', datatype: 'FP32', shape: [1, 3] }],
  });
  expect([...elementsOf('FP32', answer.outputs[0]!.data)]).toEqual([8, 8, 8]);
  expect(answer.computeMs).toBeGreaterThan(0);
  const { state, pid, rssBytes } = worker.stats();
  expect(state).toBe('ready');
  expect(isAlive(pid!)).toBe(true);
  if (process.platform === 'linux') expect(rssBytes).toBeGreaterThan(2 ** 20);
});

it('tells a bad model from a lost worker, and lives on', async () => {
  const { worker, artifacts, mean } = startLocalWorker();
  const noGraph = variantOf('no-graph', artifacts.put(Buffer.from('no graph')));
  await expect(worker.ensureLoaded(noGraph)).rejects.toBeInstanceOf(OipError);
  await expect(worker.infer(noGraph, image)).rejects.toMatchObject({
    name: 'ModelLoadError',
    status: 400,
  });
  await expect(worker.infer(mean, { ...image, name: 'pictures' })).rejects.toMatchObject({
    name: 'OipError',
    status: 400,
  });
  expect(await meanOfFours(worker, mean)).toBe(8);
  expect(worker.stats().restarts).toBe(0);
});

it('loses the batch when its process is killed, and is ready again with what is in demand but that', async () => {
  const host = new WorkerPool(createLogger('silent'));
  const { worker, artifacts, mean, slow } = startLocalWorker({ host });
  for (const variant of [mean, slow]) host.demand.asked(variant);
  await worker.ensureLoaded(slow);
  expect(await meanOfFours(worker, mean)).toBe(8);
  const { pid } = worker.stats();
  const ready = vi.fn(() => {
    // It is loaded by now: without its file it could not be loaded any more.
    rmSync(artifacts.path(mean.artifactSha256));
    expect(['mean', 'slow'].map((key) => worker.holds(key))).toEqual([true, false]);
  });
  worker.onReady(ready);
  const batch = worker.infer(slow, forever);
  setTimeout(() => process.kill(pid!, 'SIGKILL'), 100);
  await lost(batch);
  expect(worker.ready).toBe(false);
  expect(await meanOfFours(worker, mean)).toBe(8);
  expect(ready).toHaveBeenCalledOnce();
  expect(worker.stats()).toMatchObject({ state: 'ready', restarts: 1 });
  expect(worker.stats().pid).not.toBe(pid);
  expect(isAlive(pid!)).toBe(false);
});

it('comes back every time it is killed', async () => {
  const { worker, mean } = startLocalWorker();
  for (let round = 0; round < 3; round += 1) {
    expect(await meanOfFours(worker, mean)).toBe(8);
    process.kill(worker.stats().pid!, 'SIGKILL');
    await replaced(worker, round + 1);
  }
  expect(await meanOfFours(worker, mean)).toBe(8);
  expect(worker.stats().restarts).toBe(3);
});

it('does without a variant whose artefact is gone after a restart, rather than without all', async () => {
  const { worker, artifacts, mean, slow } = startLocalWorker();
  await Promise.all([worker.ensureLoaded(mean), worker.ensureLoaded(slow)]);
  rmSync(artifacts.path(slow.artifactSha256));
  process.kill(worker.stats().pid!, 'SIGKILL');
  await replaced(worker, 1);
  expect(await meanOfFours(worker, mean)).toBe(8);
  await expect(worker.infer(slow, image)).rejects.toMatchObject({
    name: 'ModelLoadError',
    status: 404,
  });
  expect(worker.stats().restarts).toBe(1);
});

it('kills and replaces a worker that hangs', async () => {
  const { worker, mean, slow } = startLocalWorker({ inferTimeoutMs: 1_500 });
  expect(await meanOfFours(worker, mean)).toBe(8);
  await worker.ensureLoaded(slow);
  const { pid } = worker.stats();
  expect(await lost(worker.infer(slow, forever))).toMatchObject({
    message: expect.stringContaining('within 1500 ms'),
  });
  expect(await meanOfFours(worker, mean)).toBe(8);
  expect(isAlive(pid!)).toBe(false);
});

it('tries again where it cannot even start, until it is closed', async () => {
  const { worker, mean } = startLocalWorker({ command: ['/nonexistent/node'] });
  const waiting = lost(worker.ensureLoaded(mean));
  await replaced(worker, 2);
  expect(worker.ready).toBe(false);
  await worker.close();
  await waiting;
  expect(worker.stats()).toMatchObject({ state: 'closed', pid: null });
});

it('answers what runs before it closes, and leaves neither process nor folder', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'fovea-test-'));
  vi.stubEnv('TMPDIR', temporary);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(temporary, { recursive: true, force: true });
  });
  const ownFiles = () => readdirSync(temporary).filter((name) => !name.startsWith('fovea-test-'));
  const { worker, slow } = startLocalWorker();
  await worker.ensureLoaded(slow);
  const { pid } = worker.stats();
  // The engine's telemetry would write its own beside it.
  expect(ownFiles()).toHaveLength(1);
  const batch = worker.infer(slow, aWhile);
  await new Promise((resolve) => setTimeout(resolve, 250));
  await worker.close();
  // Of a graph with several outputs it answers the one that the variant is read by, alone.
  expect((await batch).outputs).toMatchObject([{ name: 'means', shape: [1, 3] }]);
  expect(isAlive(pid!)).toBe(false);
  expect(ownFiles()).toEqual([]);
  await lost(worker.infer(slow, image));
});

it('ends at once when told to, busy or not', async () => {
  const { worker, slow } = startLocalWorker();
  await worker.ensureLoaded(slow);
  const { pid } = worker.stats();
  const batch = lost(worker.infer(slow, forever));
  await new Promise((resolve) => setTimeout(resolve, 50));
  worker.killNow();
  await batch;
  await vi.waitUntil(() => !isAlive(pid!), patience);
  expect(worker.stats().state).toBe('closed');
});

it.each([
  ['idle', []],
  ['busy for ever', ['busy']],
])('%s, does not outlive a parent that is killed', async (_, more) => {
  const artifacts = artifactFolder();
  const sha256 = artifacts.put(slowOnBrightModel(2));
  const parent = spawnScript('worker-parent.ts', artifacts.dir, sha256, ...more);
  const pid = Number(await firstLine(parent));
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await exited(parent);
  await vi.waitUntil(() => !isAlive(pid), patience);
});
