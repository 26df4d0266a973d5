import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { DeadlineExceededError } from '../../../src/lib/errors.ts';
import { MortalWorker } from './mortal-worker.ts';
import { dispatcherOver } from './paper-dispatcher.ts';

it('lets a batch wait for more images where its model says so, and for no longer', async () => {
  const worker = new MortalWorker('worker', 1);
  const { run } = dispatcherOver([worker], { maxQueueDelayMs: 30 });
  const first = run(1);
  await sleep(5);
  expect(worker.batches).toEqual([]);
  const outputs = await Promise.all([first, run(2), run(3)]);
  expect(outputs.map(({ batchSize }) => batchSize)).toEqual([3, 3, 3]);
  await Promise.all([4, 5, 6, 7].map((image) => run(image)));
  expect(worker.batches).toEqual([
    [1, 2, 3],
    [4, 5, 6, 7],
  ]);
});

it('tells of each plan how many images wait and for how long, and what batches were run', async () => {
  const worker = new MortalWorker('worker', 1, { msPerImage: 20 });
  const { dispatcher, run } = dispatcherOver([worker]);
  const runs: object[] = [];
  dispatcher.onBatch((batch) => runs.push(batch));
  const images = [run(1), run(2), run(3, { plan: 'Free' }), run(4, { plan: 'Free' })];
  await sleep(5);
  expect([...dispatcher.queues]).toEqual([
    ['Paper', { images: 1, oldestMs: expect.any(Number) }],
    ['Free', { images: 2, oldestMs: expect.any(Number) }],
  ]);
  expect(dispatcher.queues.get('Free')!.oldestMs).toBeGreaterThan(0);
  await Promise.all(images);
  expect(dispatcher.queues.size).toBe(0);
  expect(runs).toMatchObject([
    { worker: 'worker', device: 'paper', images: 1, engineMs: 20 },
    { worker: 'worker', device: 'paper', images: 3, engineMs: 60 },
  ]);
});

it('drops what is too late while it waits, and what nobody waits for any more, and counts the former', async () => {
  const worker = new MortalWorker('worker', 1, { msPerImage: 300 });
  const { dispatcher, run } = dispatcherOver([worker]);
  const running = run(1);
  const late = run(2, { deadline: performance.now() + 10 });
  const hungUp = new AbortController();
  const left = run(3, { abandoned: hungUp.signal });
  const deadline = performance.now() + 20;
  const given = new AbortController();
  const givenUp = run(4, { deadline, abandoned: given.signal });
  setTimeout(() => hungUp.abort(new Error('the client hung up')), 5);
  setTimeout(() => given.abort(new DeadlineExceededError('it took too long')), 25);
  await Promise.all([
    expect(left).rejects.toThrow('the client hung up'),
    expect(givenUp).rejects.toThrow('it took too long'),
    expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' }),
    running,
  ]);
  expect(worker.batches).toEqual([[1]]);
  expect(dispatcher.expired).toBe(2);
});
