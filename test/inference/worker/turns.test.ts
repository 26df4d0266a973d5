import { expect, it } from 'vitest';
import { type Company, Turns, type Wish } from '../../../src/inference/worker/turns.ts';

/** Turns of a device that takes some milliseconds for a batch, the first of which is not done before `release` is called. */
function busyTurns() {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const batches: string[][] = [];
  const turns = new Turns<string, string>(async (names) => {
    batches.push([...names]);
    await (names.includes('first') ? held : new Promise(setImmediate));
    return names.map((value) => ({ status: 'fulfilled', value }));
  });
  const enter = (name: string, wish: Partial<Wish> = {}, company: Partial<Company> = {}) =>
    turns.enter(
      name,
      { model: 'mean', kind: '', images: 1, maxBatch: 1, ...company },
      { tenant: '', weight: 1, level: 50, timeoutMs: null, ...wish },
    );
  const first = enter('first');
  return { turns, first, enter, release, batches };
}

it('runs lower levels of a tenant first, and within one who came first', async () => {
  const { enter, release, batches } = busyTurns();
  const all = [
    enter('a'),
    enter('b', { level: 49 }),
    enter('c', { level: 1 }),
    enter('d'),
    enter('e', { level: 1 }),
  ];
  release();
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(batches.slice(1).flat()).toEqual(['c', 'e', 'b', 'a', 'd']);
});

it('runs together what is of one kind, of all tenants, to the largest batch', async () => {
  const { enter, release, batches } = busyTurns();
  const of = (kind: string, images = 1) => ({ kind, images, maxBatch: 4 });
  const all = [
    enter('a', { tenant: 'a' }, of('small')),
    enter('b', { tenant: 'b' }, of('small', 2)),
    enter('c', { tenant: 'c' }, of('large')),
    enter('d', { tenant: 'd' }, of('small')),
    enter('e', { tenant: 'e' }, of('small')),
    enter('f', { tenant: 'f' }, of('small', 6)),
  ];
  release();
  await Promise.all(all);
  const sizes: Record<string, number> = { b: 2, f: 6 };
  for (const batch of batches.slice(1)) {
    const images = batch.reduce((sum, name) => sum + (sizes[name] ?? 1), 0);
    expect(images <= 4 || batch.length === 1).toBe(true);
    expect(batch.includes('c') && batch.length > 1).toBe(false);
  }
  expect(batches).toHaveLength(5);
});

it('runs one at a time, and the next where one fails', async () => {
  let running = 0;
  const turns = new Turns<boolean, string>(async ([fails]) => {
    running += 1;
    expect(running).toBe(1);
    await new Promise(setImmediate);
    running -= 1;
    return [
      fails ? { status: 'rejected', reason: new Error('failed') } : { status: 'fulfilled', value: 'done' },
    ];
  });
  const company = { model: 'mean', kind: '', images: 1, maxBatch: 1 };
  const run = (fails: boolean) =>
    turns.enter(fails, company, { tenant: '', weight: 1, level: 50, timeoutMs: null });
  const outcomes = await Promise.allSettled([run(false), run(true), run(false)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await run(false)).toBe('done');
});

it('lets upkeep go before all that waits, alone', async () => {
  const { turns, first, enter, release, batches } = busyTurns();
  const before = enter('before');
  let runs = 0;
  const upkeep = turns.upkeep(async () => {
    const begun = batches.length;
    await new Promise(setImmediate);
    runs = batches.length - begun;
    return batches.length;
  });
  release();
  await first;
  expect(await upkeep).toBe(1);
  expect(runs).toBe(0);
  expect(await before).toBe('before');
});

it('never runs what has waited for too long, nor what was given up', async () => {
  const { first, enter, release, batches } = busyTurns();
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
  expect(batches.flat()).toEqual(['first', 'patient']);
});

it('finds out that time has passed while the process was held, before any timer', async () => {
  const { enter, release, batches } = busyTurns();
  const late = enter('late', { timeoutMs: 20 });
  const next = enter('next');
  const until = performance.now() + 60;
  while (performance.now() < until);
  release();
  await expect(late).rejects.toThrow('Request timeout expired');
  expect(await next).toBe('next');
  expect(batches.flat()).toEqual(['first', 'next']);
});

it('does not let in who was given up before', async () => {
  const { enter, batches } = busyTurns();
  await expect(enter('gone', { signal: AbortSignal.abort(new Error('hung up')) })).rejects.toThrow('hung up');
  expect(batches.flat()).toEqual(['first']);
});
