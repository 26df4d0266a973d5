import { expect, it, vi } from 'vitest';
import { slowOnBrightModel } from '../../support/onnx-fixture.ts';
import { dispatchedWorkers } from './dispatched-workers.ts';

vi.setConfig({ testTimeout: 120_000 });

/** Of `slowOnBrightModel`: at once, an eighth of a second, and longer than anybody waits. */
const [quick, aWhile, forever] = [4, 17, 40];

/** Workers that have run the model, so that it is known how long it takes. */
async function start(workers: number) {
  const { locals, run, variant } = await dispatchedWorkers(Array(workers).fill({}), { hangMs: 2_000 });
  const model = { ...variant('slow', slowOnBrightModel(2)), maxBatch: 4 };
  await Promise.all(locals.map((worker) => worker.ensureLoaded(model)));
  for (let times = 0; times < 4; times += 1)
    await Promise.all(locals.map(() => run({ ...model, maxBatch: 1 }, quick)));
  return { run, model };
}

const failed = { status: 'rejected', reason: { code: 'INFERENCE_FAILED' } };

it('an image that hangs workers has failed, and none that rides with it', async () => {
  const { run, model } = await start(2);
  // So that the four ride together.
  const busy = Array.from({ length: 2 }, () => run({ ...model, maxBatch: 1 }, aWhile));
  const together = Promise.allSettled([quick, forever, quick, quick].map((grey) => run(model, grey)));
  await Promise.all(busy);
  const outcomes = await together;
  expect(outcomes[1]).toMatchObject(failed);
  expect(outcomes.map(({ status }) => status).sort()).toEqual([
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'rejected',
  ]);
  await Promise.all(Array.from({ length: 8 }, () => run(model, quick)));
  await expect(run(model, forever)).rejects.toThrow('it is not run again');
});

it('an image that nobody waits for any more when its worker is replaced is known the third time', async () => {
  const { run, model } = await start(1);
  for (let times = 0; times < 2; times += 1) {
    const request = new AbortController();
    const hanging = run(model, forever, request.signal);
    setTimeout(() => request.abort(new Error('its deadline has passed')), 500);
    await expect(hanging).rejects.toThrow('its deadline has passed');
    await run(model, quick);
  }
  await expect(run(model, forever)).rejects.toThrow('it is not run again');
});
