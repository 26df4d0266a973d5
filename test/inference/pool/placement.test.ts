import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { slowOnBrightModel } from '../../support/onnx-fixture.ts';
import { script } from '../../support/processes.ts';
import { dispatchedWorkers, patience } from './dispatched-workers.ts';

vi.setConfig({ testTimeout: 120_000 });

/** Of `slowOnBrightModel`: some 30 ms and half a second. */
const [brief, aWhile] = [15, 19];

it('has a second worker hold a model that keeps the first busy', async () => {
  const { locals, run, variant, holders } = await dispatchedWorkers([{}, {}]);
  const slow = { ...variant('slow', slowOnBrightModel(2)), maxBatch: 1 };
  let isOver = false;
  const clients = Array.from({ length: 4 }, async () => {
    while (!isOver) await run(slow, brief);
  });
  await vi.waitUntil(() => holders(slow).length === 2, patience);
  isOver = true;
  await Promise.all(clients);
  expect(locals.map((worker) => worker.stats().restarts)).toEqual([0, 0]);
});

it('has no second worker hold one that does not', async () => {
  const { run, variant, holders } = await dispatchedWorkers([{}, {}]);
  const slow = variant('slow', slowOnBrightModel(2));
  // A client that asks again when it was answered, for far longer than a load takes.
  for (let times = 0; times < 60; times += 1) await run(slow, brief);
  // And a rush every now and then.
  for (let times = 0; times < 3; times += 1) {
    await Promise.all([run(slow, brief), run(slow, brief)]);
    await sleep(300);
  }
  expect(holders(slow)).toHaveLength(1);
});

it('places models where there is room, and lets none of them wait for the others', async () => {
  const { run, variant, holders } = await dispatchedWorkers([{}, {}]);
  const [slow, quick] = [variant('slow', slowOnBrightModel(2)), variant('quick')];
  await run(slow);
  // While the first is busy the second is loaded by the other.
  const busy = [run({ ...slow, maxBatch: 1 }, aWhile), run({ ...slow, maxBatch: 1 }, aWhile)];
  await run(quick);
  expect(holders(quick)).not.toEqual(holders(slow));
  let isDone = false;
  void Promise.all(busy).then(() => {
    isDone = true;
  });
  await run(quick);
  expect(isDone).toBe(false);
  await Promise.all(busy);
});

it('waits for the one worker that can hold a model while that is away for a moment', async () => {
  const elsewhere = artifactFolder();
  // The second has another artefact store, and so lacks every model.
  const { locals, run, variant, holders } = await dispatchedWorkers([{}, { artifacts: elsewhere.dir }]);
  const mean = variant('mean');
  for (let times = 0; times < 3; times += 1) await run(mean);
  expect(holders(mean)).toEqual([locals[0]]);
  for (let kills = 0; kills < 2; kills += 1) {
    const { restarts } = locals[0]!.stats();
    process.kill(locals[0]!.stats().pid!, 'SIGKILL');
    await vi.waitUntil(() => !locals[0]!.ready, patience);
    expect((await run(mean)).outputs).toHaveLength(1);
    expect(locals[0]!.stats().restarts).toBeGreaterThan(restarts);
  }
});

it('is not held up by a worker that hangs while it has nothing to do', async () => {
  const { locals, run, variant, holders } = await dispatchedWorkers([{}, {}]);
  const slow = variant('slow', slowOnBrightModel(2));
  await run(slow);
  const other = locals.find((worker) => !holders(slow).includes(worker))!;
  process.kill(other.stats().pid!, 'SIGSTOP');
  onTestFinished(() => {
    process.kill(other.stats().pid!, 'SIGCONT');
  });
  const answers = Array.from({ length: 12 }, () => run({ ...slow, maxBatch: 1 }, brief));
  expect(await Promise.all(answers)).toHaveLength(12);
});

it('keeps a model from the workers that they crash of, and serves the others', async () => {
  const command = [...script('worker-main.ts'), 'crashing'];
  const { pool, locals, run, variant } = await dispatchedWorkers([{ command }, { command }]);
  const [deadly, mean] = [variant('deadly'), variant('mean')];
  for (const grey of [255, 254, 253]) {
    // It runs well in between, which is no excuse. Each picture is tried twice.
    await run(deadly);
    await run(mean);
    await run({ ...deadly, maxBatch: 1 }, grey).catch(() => undefined);
  }
  await expect(run(deadly)).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringMatching(/^the model deadly@1 made inference workers end .* for another \d+ s$/),
  });
  expect(pool.quarantine.list()).toMatchObject([{ variant: { key: 'deadly' } }]);
  const restarts = () => locals.reduce((sum, worker) => sum + worker.stats().restarts, 0);
  await vi.waitUntil(() => locals.every(({ ready }) => ready), patience);
  const before = restarts();
  expect(before).toBeLessThanOrEqual(5);
  for (let times = 0; times < 5; times += 1) await run(mean);
  await expect(run(deadly, 252)).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
  expect(restarts()).toBe(before);
});

it('keeps a picture from the workers that they crash of, and serves the others of its model', async () => {
  const { pool, locals, run, variant } = await dispatchedWorkers([
    { command: [...script('worker-main.ts'), 'crashing'] },
  ]);
  const [deadly, slow] = [variant('deadly'), variant('slow', slowOnBrightModel(2))];
  await Promise.all([run(deadly), run(slow)]);
  // While the worker is busy they come to be one batch.
  const busy = run(slow, aWhile);
  const [white, ...others] = await Promise.allSettled([255, 4, 5].map((grey) => run(deadly, grey)));
  await busy;
  expect(white).toMatchObject({ status: 'rejected', reason: { code: 'INFERENCE_FAILED' } });
  expect(others).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
  expect(pool.quarantine.list()).toEqual([]);
  await vi.waitUntil(() => locals[0]!.ready, patience);
  const { restarts } = locals[0]!.stats();
  expect(restarts).toBeGreaterThanOrEqual(2);
  await expect(run(deadly, 255)).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: expect.stringMatching(/stopped each time that the model deadly@1 ran this image/),
  });
  expect((await run(deadly, 5)).outputs).toHaveLength(1);
  expect(locals[0]!.stats().restarts).toBe(restarts);
});
