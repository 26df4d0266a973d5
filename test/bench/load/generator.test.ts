import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Generator } from '../../../bench/load/start-generator.ts';
import type { Arrivals, Stream } from '../../../bench/load/stream.ts';

/** Keeps whoever asks waiting until `answerAll`, and from then on answers at once. */
async function heldServer() {
  const held: ServerResponse[] = [];
  const seen: { authorization: string | undefined; body: string }[] = [];
  let isHeld = true;
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    seen.push({ authorization: request.headers.authorization, body: Buffer.concat(chunks).toString() });
    if (isHeld) held.push(response);
    else response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    held,
    seen,
    answerAll() {
      isHeld = false;
      for (const response of held) response.end('{}');
    },
  };
}

const streamOf = (url: string, arrivals: Arrivals, more: Partial<Stream> = {}): Stream => ({
  ...{ url, path: '/', reading: 'plain', keys: ['a', 'b'], bodies: [Buffer.from('1'), Buffer.from('2')] },
  arrivals,
  ...more,
});

async function generator(): Promise<Generator> {
  const started = await Generator.start();
  onTestFinished(() => started.close());
  return started;
}

test('closed clients ask no more than one thing at a time, each as itself', async () => {
  const server = await heldServer();
  const clients = await generator();
  await clients.begin({ all: streamOf(server.url, { kind: 'closed', clients: 2 }) });
  await vi.waitUntil(() => server.held.length === 2);
  server.answerAll();
  await vi.waitUntil(() => server.seen.length > 10);
  const { samples } = await clients.end();
  expect(samples.all!.length).toBe(server.seen.length);
  expect(new Set(samples.all!.map(({ outcome }) => outcome))).toEqual(new Set(['ANSWERED']));
  expect(new Set(server.seen.map(({ authorization }) => authorization))).toEqual(
    new Set(['Bearer a', 'Bearer b']),
  );
  expect(new Set(server.seen.map(({ body }) => body))).toEqual(new Set(['1', '2']));
});

test('open clients come whether they are answered or not, and what waited counts from when it was due', async () => {
  const server = await heldServer();
  const clients = await generator();
  await clients.begin({ all: streamOf(server.url, { kind: 'open', perSecond: 500, seed: 1 }) });
  await vi.waitUntil(() => server.held.length > 100);
  server.answerAll();
  const { samples } = await clients.end();
  expect(samples.all!.length).toBe(server.seen.length);
  for (const { dueAt, sentAt, doneAt } of samples.all!) {
    expect(sentAt).toBeGreaterThanOrEqual(dueAt);
    expect(doneAt).toBeGreaterThan(sentAt);
  }
});

test('the same seed has requests come at the same distances', async () => {
  const server = await heldServer();
  server.answerAll();
  const clients = await generator();
  const gaps = async (seed: number) => {
    await clients.begin({ all: streamOf(server.url, { kind: 'open', perSecond: 1_000, seed }) });
    const before = server.seen.length;
    await vi.waitUntil(() => server.seen.length > before + 20);
    const due = (await clients.end()).samples.all!.map(({ dueAt }) => dueAt).sort((a, b) => a - b);
    return due.slice(1, 15).map((at, index) => (at - due[index]!).toFixed(3));
  };
  const first = await gaps(7);
  expect(await gaps(7)).toEqual(first);
  expect(await gaps(8)).not.toEqual(first);
});

test('who hangs up and who finds nobody are told apart', async () => {
  const server = await heldServer();
  const clients = await generator();
  const rude = streamOf(server.url, { kind: 'closed', clients: 1 }, { hangUpAfterMs: 5 });
  const lost = streamOf('http://127.0.0.1:1', { kind: 'closed', clients: 1 });
  await clients.begin({ rude, lost });
  await vi.waitUntil(() => server.seen.length > 2);
  const { samples } = await clients.end();
  expect(new Set(samples.rude!.map(({ outcome }) => outcome))).toEqual(new Set(['HUNG_UP']));
  expect(new Set(samples.lost!.map(({ outcome }) => outcome))).toEqual(new Set(['NO_CONNECTION']));
});
