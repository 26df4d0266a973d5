import { expect, it } from 'vitest';
import { BoundedStore } from '../../../src/inference/cache/bounded-store.ts';

/** Each value is its own key. */
function storeOf(bytes: number) {
  const store = new BoundedStore<string>(bytes);
  return {
    store,
    put: (owner: string, key: string, size: number) => store.set(owner, key, key, size),
    kept: (...keys: string[]) => keys.filter((key) => store.get(key) === key),
  };
}

it('drops what was used least recently, whoever it is of', () => {
  const { store, put, kept } = storeOf(100);
  put('a', 'a1', 30);
  put('b', 'b1', 30);
  put('c', 'c1', 30);
  kept('a1');
  put('d', 'd1', 20);
  expect(kept('a1', 'b1', 'c1', 'd1')).toEqual(['a1', 'c1', 'd1']);
  expect({ size: store.size, bytes: store.bytes }).toEqual({ size: 3, bytes: 80 });
});

it('lets one owner have half, and then go through its own', () => {
  const { store, put, kept } = storeOf(100);
  for (const key of ['b1', 'b2', 'b3', 'b4', 'b5']) put('b', key, 10);
  for (let n = 0; n < 1_000; n++) put('a', `a${n}`, 10);
  expect(kept('b1', 'b2', 'b3', 'b4', 'b5')).toHaveLength(5);
  expect(kept('a994', 'a995', 'a999')).toEqual(['a995', 'a999']);
  expect(store.bytes).toBe(100);
});

it('does not keep what alone is more than an owner may have, nor what it takes the place of', () => {
  const { store, put, kept } = storeOf(100);
  put('a', 'small', 10);
  put('a', 'large', 51);
  expect(kept('small', 'large')).toEqual(['small']);
  put('a', 'small', 51);
  expect({ size: store.size, bytes: store.bytes }).toEqual({ size: 0, bytes: 0 });
});

it('counts a value that is put again once', () => {
  const { store, put } = storeOf(100);
  for (const size of [40, 20, 30]) put('a', 'same', size);
  expect({ size: store.size, bytes: store.bytes }).toEqual({ size: 1, bytes: 30 });
});

it('stays within its bounds, and evicts as a plain list would', () => {
  // A small generator with a fixed seed: a failure can be repeated.
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const most = 200;
  const { store, put, kept } = storeOf(most);
  /** The least recently used first. */
  let list: { owner: string; key: string; size: number }[] = [];
  const total = (owner?: string) =>
    list.reduce((sum, entry) => sum + (owner === undefined || entry.owner === owner ? entry.size : 0), 0);
  const evict = (owner?: string) => {
    const oldest = list.findIndex((entry) => owner === undefined || entry.owner === owner);
    list.splice(oldest, 1);
  };
  for (let step = 0; step < 20_000; step++) {
    const owner = `owner ${random(4)}`;
    const key = `${owner} ${random(12)}`;
    const known = list.find((entry) => entry.key === key);
    if (random(3) === 0) {
      expect(kept(key)).toEqual(known ? [key] : []);
      if (known) list = [...list.filter((entry) => entry !== known), known];
      continue;
    }
    const size = 1 + random(60);
    put(owner, key, size);
    list = list.filter((entry) => entry !== known);
    while (total(owner) + size > most / 2) evict(owner);
    while (total() + size > most) evict();
    list.push({ owner, key, size });
    expect({ size: store.size, bytes: store.bytes }).toEqual({ size: list.length, bytes: total() });
  }
  expect(list.filter(({ key }) => kept(key).length === 0)).toEqual([]);
});
