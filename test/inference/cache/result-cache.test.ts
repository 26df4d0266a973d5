import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type Asker, ResultCache } from '../../../src/inference/cache/result-cache.ts';
import type { Computed } from '../../../src/inference/cache/run.ts';
import { ImageError } from '../../../src/inference/images/image-error.ts';
import type { Priority } from '../../../src/inference/request.ts';

/** Requests of one tenant about one image, each with a run that ends when the test says so. */
function requests(cache = new ResultCache(1 << 20)) {
  return (priority: Priority = 'INTERACTIVE', tenantId = 'tenant') => {
    const { promise: computed, resolve, reject } = Promise.withResolvers<Computed<string>>();
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const abandoned = new AbortController();
    let runs = 0;
    const asker: Asker = { tenantId, priority, signal: abandoned.signal, over };
    const answer = cache.answer<string>(asker, `key of ${tenantId}`, () => {
      runs += 1;
      return computed;
    });
    answer.catch(() => {});
    return {
      answer,
      ran: () => runs > 0,
      runEnds: (result: string) => resolve({ result, ...figures }),
      runFails: reject,
      abandon: (reason: Error) => abandoned.abort(reason),
      /** Its client has its answer; `booked` as the first that was answered from its run. */
      async ends(): Promise<{ paid: boolean; result: string }> {
        const answered = await answer;
        const paid = answered.run.claim();
        if (paid) cache.keep(tenantId, answered);
        end();
        await nextTurn();
        return { paid, result: answered.run.computed.result };
      },
      async fails(): Promise<void> {
        await answer.catch(() => {});
        end();
        await nextTurn();
      },
    };
  };
}

const figures = { device: 'cpu', batchSize: 1, queueMs: 1, inferenceMs: 2, postprocessMs: 3 };

it('runs equal images in flight once, and one of them pays', async () => {
  const cache = new ResultCache(1 << 20);
  const request = requests(cache);
  const [leader, ...followers] = [request(), request(), request()];
  leader.runEnds('a cat');
  expect(await leader.ends()).toEqual({ paid: true, result: 'a cat' });
  for (const follower of followers) expect(await follower.ends()).toEqual({ paid: false, result: 'a cat' });
  const later = request();
  expect(await later.ends()).toEqual({ paid: false, result: 'a cat' });
  expect([leader, ...followers, later].map(({ ran }) => ran())).toEqual([true, false, false, false]);
  expect(cache.stats).toMatchObject({ entries: 1, hits: 1, misses: 1, followers: 2 });
});

it('tells of waiting those alone that waited', async () => {
  const request = requests();
  const [leader, follower] = [request(), request()];
  leader.runEnds('a cat');
  expect((await leader.answer).waitedMs).toBeNull();
  expect((await follower.answer).waitedMs).toBeGreaterThanOrEqual(0);
});

it('lets a follower take over where the leader failed for a reason of its own', async () => {
  const request = requests();
  const [leader, second, third] = [request(), request(), request()];
  leader.runFails(new Error('its deadline'));
  await expect(leader.answer).rejects.toThrow('its deadline');
  await nextTurn();
  expect([second.ran(), third.ran()]).toEqual([true, false]);
  second.runEnds('a cat');
  expect(await second.ends()).toEqual({ paid: true, result: 'a cat' });
  expect(await third.ends()).toEqual({ paid: false, result: 'a cat' });
});

it('tells every follower that the image failed, and keeps nothing of it', async () => {
  const cache = new ResultCache(1 << 20);
  const request = requests(cache);
  const [leader, follower] = [request(), request()];
  leader.runFails(new ImageError('INFERENCE_FAILED', 'unreadable'));
  for (const { answer, fails } of [leader, follower]) {
    await expect(answer).rejects.toThrow('unreadable');
    await fails();
  }
  const later = request();
  expect(later.ran()).toBe(true);
  expect(cache.stats.entries).toBe(0);
});

it('lets a follower go away without harm to anybody', async () => {
  const request = requests();
  const [leader, impatient, patient] = [request(), request(), request()];
  impatient.abandon(new Error('hung up'));
  await expect(impatient.answer).rejects.toThrow('hung up');
  leader.runEnds('a cat');
  expect(await leader.ends()).toMatchObject({ paid: true });
  expect(await patient.ends()).toMatchObject({ paid: false });
});

it('does not make one that is gone take over', async () => {
  const request = requests();
  const [leader, gone, patient] = [request(), request(), request()];
  leader.runFails(new Error('hung up'));
  gone.abandon(new Error('hung up too'));
  await expect(gone.answer).rejects.toThrow('hung up too');
  await nextTurn();
  expect([gone.ran(), patient.ran()]).toEqual([false, true]);
});

it('keeps INTERACTIVE images from waiting for BATCH ones, and not the other way round', async () => {
  const request = requests();
  const batch = request('BATCH');
  const batchFollower = request('BATCH');
  const interactive = request('INTERACTIVE');
  const later = [request('INTERACTIVE'), request('BATCH')];
  const isRun = [batch, batchFollower, interactive, ...later].map(({ ran }) => ran());
  expect(isRun).toEqual([true, false, true, false, false]);
  interactive.runEnds('a cat');
  expect(await interactive.ends()).toMatchObject({ paid: true });
  for (const { ends } of later) expect(await ends()).toMatchObject({ paid: false });
  batch.runEnds('a cat');
  // Two were run, and each is paid for.
  expect(await batch.ends()).toMatchObject({ paid: true });
  expect(await batchFollower.ends()).toMatchObject({ paid: false });
});

it('shares what a BATCH image was answered, with an INTERACTIVE one too', async () => {
  const request = requests();
  const batch = request('BATCH');
  batch.runEnds('a cat');
  await batch.answer;
  const interactive = request('INTERACTIVE');
  expect((await interactive.answer).run).toBe((await batch.answer).run);
  expect(interactive.ran()).toBe(false);
});

it('shares a run until its request is over', async () => {
  const request = requests();
  const leader = request();
  leader.runEnds('a cat');
  await leader.answer;
  const meanwhile = request();
  expect(await meanwhile.ends()).toEqual({ paid: true, result: 'a cat' });
  expect(await leader.ends()).toEqual({ paid: false, result: 'a cat' });
});

it('keeps nothing that nobody was booked for', async () => {
  const request = requests();
  const leader = request();
  leader.runEnds('a cat');
  await leader.fails();
  expect(request().ran()).toBe(true);
});

it('has whoever is booked first pay, where the leader never is', async () => {
  const request = requests();
  const [leader, first, second] = [request(), request(), request()];
  leader.runEnds('a cat');
  await leader.fails();
  expect(await first.ends()).toMatchObject({ paid: true });
  expect(await second.ends()).toMatchObject({ paid: false });
  expect(await request().ends()).toMatchObject({ paid: false });
});

it('shares nothing between tenants', async () => {
  const request = requests();
  const mine = request();
  const theirs = request('INTERACTIVE', 'another');
  expect([mine.ran(), theirs.ran()]).toEqual([true, true]);
});
