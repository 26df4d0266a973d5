import { expect, it } from 'vitest';
import { RunQueue, type Wish } from '../../../src/inference/worker/run-queue.ts';

/** A queue with a run under way, which ends when `release` is called; `enter` notes who has had a turn. */
function busyQueue() {
  const queue = new RunQueue();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const turns: string[] = [];
  const first = queue.enter(() => held);
  const enter = (name: string, wish: Partial<Wish> = {}) =>
    queue.enter(
      async () => {
        turns.push(name);
        return name;
      },
      { level: 5, timeoutMs: null, ...wish },
    );
  return { first, enter, release, turns };
}

it('runs lower levels first, and within one who came first', async () => {
  const { enter, release, turns } = busyQueue();
  const all = [
    enter('a'),
    enter('b', { level: 6 }),
    enter('c', { level: 1 }),
    enter('d'),
    enter('e', { level: 1 }),
  ];
  release();
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(turns).toEqual(['c', 'e', 'a', 'd', 'b']);
});

it('runs one at a time, and the next where one fails', async () => {
  const queue = new RunQueue();
  let running = 0;
  const run = (fails: boolean) =>
    queue.enter(async () => {
      running += 1;
      expect(running).toBe(1);
      await new Promise(setImmediate);
      running -= 1;
      if (fails) throw new Error('failed');
      return 'done';
    });
  const outcomes = await Promise.allSettled([run(false), run(true), run(false)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await run(false)).toBe('done');
});

it('never runs what has waited for too long, nor what was given up', async () => {
  const { first, enter, release, turns } = busyQueue();
  const givenUp = new AbortController();
  const late = enter('late', { timeoutMs: 1 });
  const gone = enter('gone', { signal: givenUp.signal });
  const patient = enter('patient', { timeoutMs: 2 ** 40 });
  await expect(late).rejects.toMatchObject({ status: 503, message: expect.stringContaining('1000 µs') });
  givenUp.abort(new Error('hung up'));
  await expect(gone).rejects.toThrow('hung up');
  release();
  await first;
  expect(await patient).toBe('patient');
  expect(turns).toEqual(['patient']);
});

it('finds out that time has passed while the process was held, before any timer', async () => {
  const { enter, release, turns } = busyQueue();
  const late = enter('late', { timeoutMs: 20 });
  const next = enter('next');
  const until = performance.now() + 60;
  while (performance.now() < until);
  release();
  await expect(late).rejects.toThrow('Request timeout expired');
  expect(await next).toBe('next');
  expect(turns).toEqual(['next']);
});

it('does not let in who was given up before', async () => {
  const { enter, turns } = busyQueue();
  await expect(enter('gone', { signal: AbortSignal.abort(new Error('hung up')) })).rejects.toThrow('hung up');
  expect(turns).toEqual([]);
});
