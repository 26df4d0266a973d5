import { expect, it, vi } from 'vitest';
import { Turns } from '../../../src/inference/worker/turns.ts';
import type { WorkerOptions } from '../../../src/inference/worker/worker.ts';
import { heldEngine } from '../../support/held-engine.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker, untilPending } from './in-process-worker.ts';

/** A worker whose engine is held in the midst of a run, of an image of zeros. */
async function startBusy(options: Partial<WorkerOptions> = {}) {
  const engine = heldEngine();
  const started = await startWorker(options, { engines: engine.engines });
  const base = started.worker.address;
  await started.client.load('mean', { sha256: started.artifacts.put(meanModel(2, 1)) });
  engine.runs.length = 0;
  const release = engine.hold();
  /** An image all of `level` grey. */
  const ask = (grey: number, parameters: object = {}) => {
    const inputs = [{ name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3], data: Array(12).fill(grey) }];
    return http(base, 'POST', '/v2/models/mean/infer', JSON.stringify({ inputs, parameters }));
  };
  const running = ask(0);
  await vi.waitUntil(() => engine.runs.length === 1, { timeout: 20_000, interval: 5 });
  const { runs } = engine;
  return { ...started, base, release, ask, running, runs };
}

it('runs lower priorities of a tenant first, 0 and none as 50, and within one who came first', async () => {
  const { base, release, ask, running, runs } = await startBusy();
  const answers = [running];
  const parameters = [
    {},
    { priority: 30 },
    { priority: 49 },
    { priority: 0 },
    { priority: 50 },
    { priority: 1 },
    { priority: 49 },
    { priority: 1 },
  ];
  for (const [index, each] of parameters.entries()) {
    answers.push(ask(index + 1, each));
    await untilPending(base, index + 1);
  }
  release();
  for (const [grey, answer] of (await Promise.all(answers)).entries()) {
    expect(json(answer)).toMatchObject({ status: 200, body: { outputs: [{ data: [grey, grey, grey] }] } });
  }
  expect(runs).toEqual([0, 6, 8, 2, 3, 7, 1, 4, 5]);
});

it('answers 503 for a request that waited for longer than its timeout, and never runs it', async () => {
  const { base, release, ask, running, runs } = await startBusy();
  const late = json(await ask(1, { timeout: 1_500 }));
  expect(late).toEqual({
    status: 503,
    body: { error: 'Request timeout expired: it waited for 1500 µs, and was not run' },
  });
  const patient = [
    ask(2, { timeout: 0 }),
    ask(3, { timeout: 3_600_000_000 }),
    ask(4, { timeout: Number.MAX_SAFE_INTEGER }),
  ];
  await untilPending(base, 3);
  release();
  for (const answer of [running, ...patient]) expect((await answer).status).toBe(200);
  expect(runs.toSorted()).toEqual([0, 2, 3, 4]);
});

it('does not hold a timeout against a request that need not wait', async () => {
  const { release, ask, running } = await startBusy();
  release();
  await running;
  expect((await ask(1, { timeout: 1 })).status).toBe(200);
});

it('forgets the request of a client that hung up', async () => {
  const { base, release, client, ask, running, runs } = await startBusy();
  const hangUp = new AbortController();
  const data = new Uint8Array(12).fill(1);
  const gone = client.infer('mean', [{ name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3], data }], {
    signal: hangUp.signal,
  });
  await untilPending(base, 1);
  hangUp.abort(new Error('enough'));
  await expect(gone).rejects.toThrow('enough');
  await untilPending(base, 0);
  const next = ask(2);
  release();
  expect((await running).status).toBe(200);
  expect((await next).status).toBe(200);
  expect(runs).toEqual([0, 2]);
});

it.each([
  ['priority', -1],
  ['priority', 101],
  ['priority', 1.5],
  ['priority', '1'],
  ['priority', null],
  ['timeout', -1],
  ['timeout', 0.5],
  ['timeout', '1000'],
  ['timeout', 1e300],
  ['timeout', [1]],
  ['tenant', 1],
  ['tenant', 'x'.repeat(201)],
  ['weight', 0],
  ['weight', -1],
  ['weight', 1e300],
  ['weight', '1'],
])('refuses %s %j', async (name, value) => {
  const { release, ask, running } = await startBusy();
  const answer = json(await ask(1, { [name]: value }));
  expect(answer).toEqual({
    status: 400,
    body: {
      error: expect.stringMatching(`^parameters.${name}: expected .*, found `),
    },
  });
  release();
  expect((await running).status).toBe(200);
});

it('takes no more requests than it has room for, says so, and takes them again', async () => {
  const { base, release, ask, running } = await startBusy({ admission: { requests: 4, bytes: 2 ** 20 } });
  const waiting = [ask(1), ask(2, { tenant: 'a' }), ask(3, { tenant: 'b' })];
  await untilPending(base, 3);
  expect(json(await ask(4, { tenant: 'c' }))).toEqual({
    status: 503,
    body: {
      error: expect.stringMatching(
        /^the worker has 4 requests of \d+ bytes before it, and takes 4 .* ask again later$/,
      ),
    },
  });
  expect((await http(base, 'GET', '/v2/health/ready')).status).toBe(200);
  release();
  for (const answer of [running, ...waiting]) expect((await answer).status).toBe(200);
  expect((await ask(3)).status).toBe(200);
});

it('takes no more bytes than it has room for, those included whose number it is not told', async () => {
  const { base, release, running } = await startBusy({
    maxBodyBytes: 100_000,
    admission: { requests: 256, bytes: 100_000 },
  });
  const path = '/v2/models/mean/infer';
  const full = { status: 503, body: { error: expect.stringContaining('100000 bytes at most') } };
  expect(json(await http(base, 'POST', path, Buffer.alloc(99_950, ' ')))).toEqual(full);
  expect(json(await http(base, 'POST', path, '{}', { 'transfer-encoding': 'chunked' }))).toEqual(full);
  release();
  await running;
  // Alone it has all the room.
  expect((await http(base, 'POST', path, '{}', { 'transfer-encoding': 'chunked' })).status).toBe(400);
});

it('loads a model before what waits, and does not lose what waits', async () => {
  const { base, release, ask, client, artifacts, running, runs } = await startBusy();
  const waiting = ask(1);
  await untilPending(base, 1);
  const upkeep = vi.spyOn(Turns.prototype, 'upkeep');
  const loading = client.load('other', { sha256: artifacts.put(meanModel(2, 2)) });
  await vi.waitUntil(() => upkeep.mock.calls.length > 0, { timeout: 20_000, interval: 5 });
  const index = json(await http(base, 'POST', '/v2/repository/index'));
  expect(index.body).toContainEqual({ name: 'other', version: '1', state: 'LOADING', reason: '' });
  release();
  await loading;
  expect([(await running).status, (await waiting).status]).toEqual([200, 200]);
  expect(runs.at(-1)).toBe(1);
});
