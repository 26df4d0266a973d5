import { expect, test } from 'vitest';
import { DecodeGate } from '../../../src/inference/images/decode-gate.ts';

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
  const gate = new DecodeGate(2);
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
  const gate = new DecodeGate(1);
  await expect(gate.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  await expect(gate.run(async () => 'next')).resolves.toBe('next');
});

test('an aborted waiter leaves the queue, and takes nobody else along', async () => {
  const gate = new DecodeGate(1);
  const started: string[] = [];
  const first = held(started, 'first');
  const controller = new AbortController();
  const running = gate.run(first.work, controller.signal);
  const leaving = gate.run(held(started, 'leaving').work, controller.signal);
  const last = gate.run(async () => 'last');
  controller.abort(new Error('hung up'));
  await expect(leaving).rejects.toThrow('hung up');
  first.finish();
  await running;
  await expect(last).resolves.toBe('last');
  expect(started).toEqual(['first']);
  await expect(gate.run(async () => 'again', controller.signal)).rejects.toThrow('hung up');
});
