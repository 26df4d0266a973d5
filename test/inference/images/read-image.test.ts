import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sharp } from '../../../src/inference/images/libvips.ts';
import { readImage } from '../../../src/inference/images/read-image.ts';
import { createSafeFetch, type SafeFetch } from '../../../src/lib/safe-fetch.ts';
import { geometry, noisyPicture } from './pictures.ts';

const picture = await noisyPicture(8, 8).image.png().toBuffer();

/** Answers when the test says so: those that wait for it are the fetches in flight. */
let asked: ServerResponse[] = [];
const server = createServer((_request, response) => asked.push(response));
const answerAll = () => {
  for (const response of asked.splice(0)) response.end(picture);
};
/** Sees what was asked, and after a while in which one more would have come, no more. */
const expectAsked = async (count: number) => {
  await vi.waitUntil(() => asked.length >= count);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(asked).toHaveLength(count);
};

const uploads = { read: async (_tenantId: string, id: string) => (id === 'kept' ? picture : null) };
let fetch: SafeFetch;
beforeEach(async () => {
  asked = [];
  fetch = createSafeFetch({ allow: (address) => address === '127.0.0.1' });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  await fetch.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function read(tenantId: string, signal = new AbortController().signal) {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return readImage({ url }, geometry({ width: 8, height: 8 }), { tenantId, signal, fetch, uploads });
}
const many = <T>(count: number, one: (index: number) => T) => Array.from({ length: count }, (_, i) => one(i));

test('a tenant has eight URLs fetched at once, and the next when one is decoded', async () => {
  const reads = many(17, () => read('tenant'));
  await expectAsked(8);
  asked.shift()!.end(picture);
  await expectAsked(8);
  answerAll();
  await expectAsked(8);
  answerAll();
  expect(await Promise.all(reads)).toHaveLength(17);
});

test('all tenants together have sixteen, and a failed one gives its place back', async () => {
  const reads = many(24, (i) => read(`tenant ${i % 6}`).catch(({ code }) => code));
  await expectAsked(16);
  for (const response of asked.splice(0)) response.writeHead(404).end();
  await expectAsked(8);
  answerAll();
  const results = await Promise.all(reads);
  expect(results.filter((result) => result === 'FETCH_FAILED')).toHaveLength(16);
});

test('who hangs up while waiting is not fetched, and nobody behind waits for it', async () => {
  const gone = new AbortController();
  const first = many(8, () => read('tenant'));
  await expectAsked(8);
  const leaving = many(100, () => read('tenant', gone.signal).catch((error) => error.message));
  const last = read('tenant');
  gone.abort(new Error('hung up'));
  expect(new Set(await Promise.all(leaving))).toEqual(new Set(['hung up']));
  asked.shift()!.end(picture);
  await expectAsked(8);
  answerAll();
  expect(await Promise.all([...first, last])).toHaveLength(9);
});

test('a host that does not begin to answer is given up before one that is slow to finish', async () => {
  await fetch.close();
  fetch = createSafeFetch({ allow: (address) => address === '127.0.0.1', headTimeoutMs: 200 });
  const silent = read('tenant').catch(({ code, message }) => `${code}: ${message}`);
  await expectAsked(1);
  expect(await silent).toMatch(/^FETCH_FAILED: .*begin to answer within 0\.2 s/);
  asked = [];
  const slow = read('tenant');
  await expectAsked(1);
  asked[0]!.write(picture.subarray(0, 20));
  await new Promise((resolve) => setTimeout(resolve, 400));
  asked[0]!.end(picture.subarray(20));
  expect(await slow).toMatchObject({ width: 8, height: 8 });
});

test('base64 does not wait for URLs', async () => {
  const reads = many(20, (i) => read(`tenant ${i % 5}`));
  await expectAsked(16);
  const { signal } = new AbortController();
  const source = { base64: picture.toString('base64') };
  const decoded = await readImage(source, geometry({ width: 8, height: 8 }), {
    tenantId: 'tenant 0',
    signal,
    fetch,
    uploads,
  });
  expect([decoded.width, decoded.height]).toEqual([8, 8]);
  answerAll();
  await expectAsked(4);
  answerAll();
  await Promise.all(reads);
});

test('an upload waits for no URL', async () => {
  const reads = many(20, (i) => read(`tenant ${i % 5}`));
  await expectAsked(16);
  const { signal } = new AbortController();
  const options = { tenantId: 'tenant 0', signal, fetch, uploads };
  expect(await readImage({ uploadId: 'kept' }, geometry({ width: 8, height: 8 }), options)).toMatchObject({
    width: 8,
    height: 8,
  });
  answerAll();
  await expectAsked(4);
  answerAll();
  await Promise.all(reads);
});

test('sixteen uploads are held at once, and the next is read when one is decoded', async () => {
  const started: (() => void)[] = [];
  const slowUploads = {
    read: (_tenantId: string, _id: string) =>
      new Promise<Uint8Array>((resolve) => started.push(() => resolve(picture))),
  };
  const { signal } = new AbortController();
  const options = { tenantId: 'tenant', signal, fetch, uploads: slowUploads };
  const reads = many(17, () => readImage({ uploadId: 'kept' }, geometry({ width: 8, height: 8 }), options));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(started).toHaveLength(16);
  started[0]!();
  await vi.waitUntil(() => started.length === 17);
  for (const finish of started) finish();
  expect(await Promise.all(reads)).toHaveLength(17);
});

test('a tenant that sends many of the largest pictures holds up nobody else', async () => {
  const largest = await sharp({ create: { width: 8000, height: 5000, channels: 3, background: 'red' } })
    .jpeg()
    .toBuffer();
  const { signal } = new AbortController();
  const done: string[] = [];
  const readBytes = async (tenantId: string, bytes: Buffer) => {
    const source = { base64: bytes.toString('base64') };
    await readImage(source, geometry({ width: 8, height: 8 }), { tenantId, signal, fetch, uploads });
    done.push(tenantId);
  };
  const reads = many(20, () => readBytes('large', largest));
  await vi.waitUntil(() => done.length > 0, { timeout: 10_000, interval: 1 });
  const before = done.length;
  await readBytes('small', picture);
  // Its header is read, then the one largest picture that is in work is finished, perhaps with one that ended meanwhile.
  expect(done.indexOf('small') - before).toBeLessThanOrEqual(2);
  await Promise.all(reads);
}, 60_000);
