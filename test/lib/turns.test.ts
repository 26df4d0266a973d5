import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Turns } from '../../src/lib/turns.ts';

it('an owner’s work is done one after the other, whatever fails, and no other owner waits for it', async () => {
  const turns = new Turns();
  const events: string[] = [];
  const first = Promise.withResolvers<void>();
  const work = (name: string, until: Promise<void>) => async () => {
    events.push(`${name} begins`);
    await until;
    events.push(`${name} ends`);
  };
  const a = turns.run('one', work('a', first.promise));
  const b = turns.run('one', work('b', Promise.resolve()));
  const c = turns.run('other', work('c', Promise.resolve()));
  await nextTurn();
  expect(events).toEqual(['a begins', 'c begins', 'c ends']);
  first.reject(new Error('failed'));
  await expect(a).rejects.toThrow('failed');
  await Promise.all([b, c]);
  expect(events.slice(3)).toEqual(['b begins', 'b ends']);
});
