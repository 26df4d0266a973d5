import { expect, test } from 'vitest';
import { Gate } from '../../src/inference/gate.ts';

/** Work that is held until it is let go, and notes when it starts. */
function held(started: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = () => {
    started.push(name);
    return promise;
  };
  return { work, finish: resolve };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('no more run than the limit, first come first served', async () => {
  const gate = new Gate(2);
  const started: string[] = [];
  const works = ['a', 'b', 'c', 'd'].map((name) => held(started, name));
  const runs = works.map(({ work }) => gate.run(work));
  await settled();
  expect(started).toEqual(['a', 'b']);
  works[1]!.finish();
  await settled();
  expect(started).toEqual(['a', 'b', 'c']);
  for (const { finish } of works) finish();
  await Promise.all(runs);
  expect(started).toEqual(['a', 'b', 'c', 'd']);
});

test('work that fails gives its place back', async () => {
  const gate = new Gate(1);
  await expect(gate.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  await expect(gate.run(async () => 'next')).resolves.toBe('next');
});

test('an aborted waiter leaves the queue, and takes nobody else along', async () => {
  const gate = new Gate(1);
  const started: string[] = [];
  const first = held(started, 'first');
  const controller = new AbortController();
  const running = gate.run(first.work, { signal: controller.signal });
  const leaving = gate.run(held(started, 'leaving').work, { signal: controller.signal });
  const last = gate.run(async () => 'last');
  controller.abort(new Error('hung up'));
  await expect(leaving).rejects.toThrow('hung up');
  first.finish();
  await running;
  await expect(last).resolves.toBe('last');
  expect(started).toEqual(['first']);
  await expect(gate.run(async () => 'again', { signal: controller.signal })).rejects.toThrow('hung up');
});

test('what is heavy waits until there is room, and holds up what is light behind it', async () => {
  const gate = new Gate(10);
  const started: string[] = [];
  const works = (
    [
      ['six', 6],
      ['five', 5],
      ['one', 1],
      ['eleven', 11],
      ['two', 2],
    ] as const
  ).map(([name, weight]) => ({ ...held(started, name), weight }));
  const runs = works.map(({ work, weight }) => gate.run(work, { weight }));
  await settled();
  expect(started).toEqual(['six']);
  works[0]!.finish();
  await settled();
  expect(started).toEqual(['six', 'five', 'one']);
  works[1]!.finish();
  await settled();
  expect(started).toEqual(['six', 'five', 'one']);
  works[2]!.finish();
  await settled();
  expect(started).toEqual(['six', 'five', 'one', 'eleven']);
  expect(gate.isIdle).toBe(false);
  for (const { finish } of works) finish();
  await Promise.all(runs);
  expect(started.at(-1)).toBe('two');
  expect(gate.isIdle).toBe(true);
});

test('a heavy waiter that leaves lets those behind it in', async () => {
  const gate = new Gate(10);
  const started: string[] = [];
  const first = held(started, 'first');
  const controller = new AbortController();
  const running = gate.run(first.work, { weight: 6 });
  const heavy = gate.run(held(started, 'heavy').work, { weight: 10, signal: controller.signal });
  const light = gate.run(async () => 'light', { weight: 4 });
  controller.abort(new Error('hung up'));
  await expect(heavy).rejects.toThrow('hung up');
  await expect(light).resolves.toBe('light');
  first.finish();
  await running;
  expect(started).toEqual(['first']);
});

/** Runs what is given one at a time, in the order in which the gate lets it in. */
async function orderOf(turns: readonly { name: string; owner: string; weight?: number }[], capacity = 1) {
  const gate = new Gate(capacity);
  const started: string[] = [];
  await Promise.all(
    turns.map(({ name, ...turn }) =>
      gate.run(async () => {
        started.push(name);
        await settled();
      }, turn),
    ),
  );
  return started;
}

test('owners take turns, and each is served in its own order', async () => {
  const turns = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'].map((name) => ({ name, owner: name[0]! }));
  expect(await orderOf(turns)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
});

test('who sends what is light gets as much as who sends what is heavy, and so more turns', async () => {
  const heavy = ['h1', 'h2', 'h3'].map((name) => ({ name, owner: 'heavy', weight: 4 }));
  const light = ['l1', 'l2', 'l3', 'l4', 'l5'].map((name) => ({ name, owner: 'light', weight: 2 }));
  const order = await orderOf([...heavy, ...light], 4);
  expect(order).toEqual(['h1', 'l1', 'l2', 'h2', 'l3', 'l4', 'h3', 'l5']);
});

test('those who come again and again do not keep one who waits from its turn', async () => {
  const gate = new Gate(1);
  const started: string[] = [];
  const come = async (owner: string, times: number) => {
    for (let i = 0; i < times; i++) {
      await gate.run(
        async () => {
          started.push(owner);
          await settled();
        },
        { owner },
      );
    }
  };
  const others = [come('b', 20), come('c', 20)];
  const waiting = ['a', 'a', 'a'].map((owner) => come(owner, 1));
  await Promise.all([...others, ...waiting]);
  expect(started.lastIndexOf('a')).toBeLessThan(12);
});

test('waiters that left cost their owner no turn', async () => {
  const gate = new Gate(1);
  const started: string[] = [];
  const first = held(started, 'first');
  const gone = new AbortController();
  const running = gate.run(first.work, { owner: 'c' });
  const leaving = Array.from({ length: 100 }, () =>
    gate.run(held(started, 'leaving').work, { owner: 'a', signal: gone.signal }).catch(() => {}),
  );
  const note = (name: string) => async () => void started.push(name);
  const rest = [gate.run(note('a'), { owner: 'a' }), gate.run(note('b'), { owner: 'b' })];
  gone.abort();
  first.finish();
  await Promise.all([running, ...leaving, ...rest]);
  expect(started).toEqual(['first', 'a', 'b']);
});
