import pg from 'pg';
import { expect, test } from 'vitest';
import { Flusher } from '../../src/metering/flusher.ts';

/** Records which items went together; each flush lasts until it is let go. */
function recorded(sizeOf = (_: string) => 1) {
  const flushes: string[][] = [];
  const gates: (() => void)[] = [];
  const flusher = new Flusher<string, string>({
    async flush(items) {
      flushes.push([...items]);
      await new Promise<void>((resolve) => gates.push(resolve));
      return items.map((item) => `${item} done`);
    },
    names: (item) => [item.split('.')[0]!],
    sizeOf,
    patienceMs: 0,
  });
  const letGo = async () => {
    while (gates.length === 0) await new Promise((resolve) => setImmediate(resolve));
    gates.shift()!();
  };
  return { flusher, flushes, letGo };
}

test('a lone item leaves at once, and what comes while it is on its way forms the next flush', async () => {
  const { flusher, flushes, letGo } = recorded();
  const first = flusher.submit('a');
  await new Promise((resolve) => setImmediate(resolve));
  expect(flushes).toEqual([['a']]);
  const next = [flusher.submit('b'), flusher.submit('c')];
  await letGo();
  await letGo();
  expect(await Promise.all([first, ...next])).toEqual(['a done', 'b done', 'c done']);
  expect(flushes).toEqual([['a'], ['b', 'c']]);
});

test('items of one name go one after the other, in order', async () => {
  const { flusher, flushes, letGo } = recorded();
  const all = Promise.all(['a.1', 'a.2', 'b.1', 'a.3'].map((item) => flusher.submit(item)));
  for (let flush = 0; flush < 3; flush++) await letGo();
  await all;
  expect(flushes).toEqual([['a.1', 'b.1'], ['a.2'], ['a.3']]);
});

test('neither 500 items nor eight million characters are exceeded, but an item goes however large', async () => {
  const { flusher, flushes, letGo } = recorded((item) => (item.startsWith('large') ? 5_000_000 : 1));
  const items = ['large1', 'large2', ...Array.from({ length: 600 }, (_, index) => `i${index}`)];
  const all = Promise.all(items.map((item) => flusher.submit(item)));
  for (let flush = 0; flush < 3; flush++) await letGo();
  await all;
  expect(flushes.map((flush) => flush.length)).toEqual([1, 500, 101]);
});

test('closing waits for every answer and refuses newcomers', async () => {
  const { flusher, letGo } = recorded();
  const waiting = [flusher.submit('a'), flusher.submit('b')];
  const closed = flusher.close();
  await expect(flusher.submit('c')).rejects.toThrow('closed');
  await letGo();
  await closed;
  expect(await Promise.all(waiting)).toEqual(['a done', 'b done']);
});

/** Every flush that has a bad item in it fails with `error`; counts flushes. */
function spoilt(bad: string, error: unknown, patienceMs = 0) {
  let flushes = 0;
  const flusher = new Flusher<string, string>({
    async flush(items) {
      flushes++;
      if (items.some((item) => item.startsWith(bad))) throw error;
      return [...items];
    },
    names: (item) => [item],
    sizeOf: () => 1,
    patienceMs,
  });
  return { flusher, flushes: () => flushes };
}
const items = Array.from({ length: 500 }, (_, index) => `i${index}`);
const refusal = (code: string) => Object.assign(new pg.DatabaseError('refused', 7, 'error'), { code });

test('one bad row among 500 is found in few statements, and the others are flushed', async () => {
  const { flusher, flushes } = spoilt('bad', refusal('23514'));
  const outcomes = await Promise.allSettled(items.with(137, 'bad').map((item) => flusher.submit(item)));
  const rejected = outcomes.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []));
  expect(rejected).toEqual([137]);
  expect(flushes()).toBeLessThanOrEqual(20);
});

test.each([
  ['a fault of this program', new TypeError('items.mop is not a function')],
  ['a missing grant', refusal('42501')],
])('%s is no row to be looked for, and nothing to try again', async (_, error) => {
  const { flusher, flushes } = spoilt('i', error, 60_000);
  const outcomes = await Promise.allSettled(items.map((item) => flusher.submit(item)));
  expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  expect(flushes()).toBe(1);
});
