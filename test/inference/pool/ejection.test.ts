import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { WorkerFaultError } from '../../../src/inference/oip/errors.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

const patience = { timeout: 20_000 };
const variant = variantOf('means', 'a'.repeat(64));
const means = { name: 'means', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] };
const good = (response: ServerResponse) => response.end(JSON.stringify({ outputs: [means] }));

/** A server that is ready, holds everything, and answers inferences as it is told at the moment. */
async function serve() {
  const state = {
    infer: good as (response: ServerResponse) => void,
    ready: (response: ServerResponse) => void response.end(),
    looks: 0,
  };
  const server = createServer((request, response) => {
    request.resume().once('end', () => {
      if (request.url!.endsWith('/infer')) return state.infer(response);
      if (request.url === '/v2/health/ready') state.looks += 1;
      state.ready(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { state, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

it('ejects a worker for three faults in a row, for a pause that doubles while it stays at fault', async () => {
  const { state, address } = await serve();
  const lines: string[] = [];
  const logger = createLogger('warn', { write: (line) => lines.push(line) });
  const worker = connectTo(address, { logger, pauseMs: { first: 50, most: 150 } });
  state.infer = (response) => void response.end('[]');
  const pauses = () => lines.map((line) => JSON.parse(line).pauseMs).filter((ms) => ms !== undefined);
  for (let faults = 1; faults <= 3; faults += 1) {
    expect(pauses()).toEqual([]);
    await expect(worker.infer(variant, pixelsOf(4))).rejects.toMatchObject({ reason: 'protocol' });
    expect(worker.stats().faults).toEqual(new Map([['protocol', faults]]));
  }
  expect(worker.stats().state).toBe('ejected');
  expect(worker.ready).toBe(false);
  // It is ready again once it was looked at, and then one more fault is enough.
  for (const expected of [
    [50, 100],
    [50, 100, 150],
    [50, 100, 150, 150],
  ]) {
    await expect(worker.infer(variant, pixelsOf(4))).rejects.toThrow();
    expect(pauses()).toEqual(expected);
  }
  state.infer = good;
  await worker.infer(variant, pixelsOf(4));
  worker.judged(null);
  state.infer = (response) => void response.end('[]');
  await expect(worker.infer(variant, pixelsOf(4))).rejects.toThrow();
  expect(worker.ready).toBe(true);
});

it('leaves an ejected worker alone until its pause is over', async () => {
  const { state, address } = await serve();
  const worker = connectTo(address, { pauseMs: { first: 300, most: 300 } });
  await vi.waitUntil(() => worker.ready, patience);
  for (let times = 0; times < 3; times += 1) worker.judged(new WorkerFaultError('unreadable', 'no numbers'));
  const { looks } = state;
  const looksAtReturn = new Promise<number>((resolve) => worker.onReady(() => resolve(state.looks)));
  expect(worker.stats()).toMatchObject({ state: 'ejected', faults: new Map([['unreadable', 3]]) });
  // The one that shows that it is well, and one that was under way; not one every 20 ms.
  expect((await looksAtReturn) - looks).toBeLessThanOrEqual(2);
});

it('forgets faults that an answer which could be read lies between', async () => {
  const { address } = await serve();
  const worker = connectTo(address);
  await vi.waitUntil(() => worker.ready, patience);
  for (let times = 0; times < 5; times += 1) {
    for (const fault of [1, 2]) worker.judged(new WorkerFaultError('unreadable', `no numbers ${fault}`));
    worker.judged(null);
  }
  expect(worker.ready).toBe(true);
  expect(worker.stats().faults.get('unreadable')).toBe(10);
});

it('counts a silence beyond the bound, and errors of the model not at all', async () => {
  const { state, address } = await serve();
  const worker = connectTo(address, { inferTimeoutMs: 50 });
  state.infer = (response) => void response.writeHead(200).write('{"outputs":');
  await expect(worker.infer(variant, pixelsOf(4))).rejects.toMatchObject({ name: 'WorkerLostError' });
  expect(worker.stats().faults).toEqual(new Map([['silent', 1]]));
  state.infer = (response) => void response.writeHead(500).end('{"error":"the model failed"}');
  for (let times = 0; times < 5; times += 1)
    await expect(worker.infer(variant, pixelsOf(4))).rejects.toMatchObject({ name: 'OipError', status: 500 });
  expect(worker.stats()).toMatchObject({ state: 'ready', faults: new Map([['silent', 1]]) });
});

it('holds what a look is answered against a worker as well', async () => {
  const { state, address } = await serve();
  const lines: string[] = [];
  const logger = createLogger('warn', { write: (line) => lines.push(line) });
  state.ready = (response) =>
    void response.writeHead(302, { location: 'https://login.example/?next=/v2' }).end();
  const worker = connectTo(address, { logger, pauseMs: { first: 20, most: 20 } });
  await vi.waitUntil(() => worker.stats().state === 'ejected', patience);
  expect(worker.stats().faults.get('redirect')).toBeGreaterThanOrEqual(3);
  expect(lines.join('')).toContain('the worker redirects to login.example (302): that is not followed');
  expect(lines.join('')).not.toContain('next=');
  state.ready = (response) => void response.end();
  await vi.waitUntil(() => worker.ready, patience);
});

it('stays ejected though a look began before its last fault and ends well after it', async () => {
  const { state, address } = await serve();
  const worker = connectTo(address, { pollMs: 10, pauseMs: { first: 600_000, most: 600_000 } });
  await worker.ensureLoaded(variant);
  const looks = state.looks;
  const held: ServerResponse[] = [];
  state.ready = (response) => void held.push(response);
  await vi.waitUntil(() => state.looks > looks, patience);
  for (let faults = 0; faults < 3; faults += 1) worker.judged(new WorkerFaultError('unreadable', 'noise'));
  expect(worker.stats().state).toBe('ejected');
  state.ready = (response) => void response.end();
  for (const response of held) response.end();
  const seen = state.looks;
  await new Promise((resolve) => setTimeout(resolve, 200)); // many times what the answer needs to arrive
  expect(worker.stats().state).toBe('ejected');
  expect(state.looks).toBe(seen);
});
