import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { KeyedMutex } from '../../src/lib/keyed-mutex.ts';

it('what is done under one key is done one after the other, whatever fails, and no other key waits for it', async () => {
  const mutex = new KeyedMutex();
  const events: string[] = [];
  const first = Promise.withResolvers<void>();
  const work = (name: string, until: Promise<void>) => async () => {
    events.push(`${name} begins`);
    await until;
    events.push(`${name} ends`);
  };
  const a = mutex.run('one', work('a', first.promise));
  const b = mutex.run('one', work('b', Promise.resolve()));
  const c = mutex.run('other', work('c', Promise.resolve()));
  await nextTurn();
  expect(events).toEqual(['a begins', 'c begins', 'c ends']);
  first.reject(new Error('failed'));
  await expect(a).rejects.toThrow('failed');
  await Promise.all([b, c]);
  expect(events.slice(3)).toEqual(['b begins', 'b ends']);
});
