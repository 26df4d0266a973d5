import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { expect, it, vi } from 'vitest';
import { meanModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker } from './in-process-worker.ts';

type Worker = Awaited<ReturnType<typeof startWorker>>;

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const pathOf = (sha256: string) => `/v2/repository/artifacts/${sha256}`;

/** Files in the worker's store, those half-written among them. */
function filesOf({ artifacts }: Worker): string[] {
  const entries = readdirSync(artifacts.dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

it('stores what it is brought, says so, and loads it', async () => {
  const started = await startWorker();
  const { worker, client } = started;
  rmSync(started.artifacts.dir, { recursive: true });
  const graph = Buffer.from(meanModel(2, 1));
  const sha256 = hashOf(graph);
  await expect(client.load('mean', { sha256 })).rejects.toMatchObject({ status: 404 });
  const before = await http(worker.address, 'HEAD', pathOf(sha256));
  expect([before.status, before.body.length]).toEqual([404, 0]);
  expect(json(await http(worker.address, 'PUT', pathOf(sha256), graph))).toEqual({ status: 200, body: {} });
  expect((await http(worker.address, 'HEAD', pathOf(sha256))).status).toBe(200);
  expect(filesOf(started)).toEqual([sha256]);
  expect(readFileSync(started.artifacts.path(sha256))).toEqual(graph);
  await client.load('mean', { sha256 });
  expect(await client.modelReady('mean')).toBe(true);
});

it('names the hash of an artefact that it is to load and has not', async () => {
  const { worker } = await startWorker();
  const sha256 = 'b'.repeat(64);
  const body = JSON.stringify({ parameters: { sha256 } });
  const answer = json(await http(worker.address, 'POST', '/v2/repository/models/mean/load', body));
  expect(answer).toEqual({ status: 404, body: { error: expect.stringContaining(sha256) } });
});

it('makes its folder where it is missing', async () => {
  const { artifacts } = await startWorker();
  const folder = `${artifacts.dir}/not/there/yet`;
  const { worker } = await startWorker({ artifacts: folder });
  const bytes = randomBytes(10);
  expect((await http(worker.address, 'PUT', pathOf(hashOf(bytes)), bytes)).status).toBe(200);
  expect(existsSync(`${folder}/sha256`)).toBe(true);
});

it('takes far more than other requests may carry, announced or in pieces, in constant memory', async () => {
  const started = await startWorker({ maxBodyBytes: 1_000 });
  const piece = randomBytes(2 ** 20);
  const pieces = 160;
  const hash = createHash('sha256');
  for (let index = 0; index < pieces; index++) hash.update(piece);
  const sha256 = hash.digest('hex');
  const before = process.memoryUsage().rss;
  let most = 0;
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const outgoing = request(started.worker.address + pathOf(sha256), { method: 'PUT' }, (incoming) => {
      incoming.resume().once('end', () => resolve(incoming.statusCode));
    }).once('error', reject);
    let sent = 0;
    const more = () => {
      most = Math.max(most, process.memoryUsage().rss - before);
      if (sent++ === pieces) outgoing.end();
      else outgoing.write(piece, more);
    };
    more();
  });
  expect(status).toBe(200);
  expect(filesOf(started)).toEqual([sha256]);
  expect(most).toBeLessThan(100 * 2 ** 20);
});

it('refuses what hashes to something else, and keeps nothing of it', async () => {
  const started = await startWorker();
  const bytes = randomBytes(1_000_000);
  const answer = json(await http(started.worker.address, 'PUT', pathOf('c'.repeat(64)), bytes));
  expect(answer).toEqual({ status: 400, body: { error: expect.stringContaining(hashOf(bytes)) } });
  expect(filesOf(started)).toEqual([]);
});

it.each(['a'.repeat(63), 'A'.repeat(64), '..%2f..%2fpasswd', 'mean'])('refuses the name %s', async (name) => {
  const started = await startWorker();
  for (const method of ['PUT', 'HEAD']) {
    expect((await http(started.worker.address, method, pathOf(name), '')).status).toBe(400);
  }
  expect(filesOf(started)).toEqual([]);
});

it('keeps nothing of what breaks off', async () => {
  const started = await startWorker();
  const { hostname, port } = new URL(started.worker.address);
  const bytes = randomBytes(300_000);
  const socket = connect(Number(port), hostname);
  socket.write(`PUT ${pathOf(hashOf(bytes))} HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes.length}\r\n\r\n`);
  socket.write(bytes.subarray(0, 200_000));
  await vi.waitUntil(() => filesOf(started).length === 1, { timeout: 20_000 });
  socket.destroy();
  await vi.waitUntil(() => filesOf(started).length === 0, { timeout: 20_000 });
  expect((await http(started.worker.address, 'PUT', pathOf(hashOf(bytes)), bytes)).status).toBe(200);
});

it('takes the same artefact from many at once', async () => {
  const started = await startWorker();
  const bytes = randomBytes(3_000_000);
  const sha256 = hashOf(bytes);
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => http(started.worker.address, 'PUT', pathOf(sha256), bytes)),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(filesOf(started)).toEqual([sha256]);
});

it('takes so many at once and no more, and waits for none of those it refuses', async () => {
  const started = await startWorker();
  const { hostname, port } = new URL(started.worker.address);
  const begun = Array.from({ length: 8 }, () => {
    const bytes = randomBytes(100_000);
    const socket = connect(Number(port), hostname);
    socket.write(
      `PUT ${pathOf(hashOf(bytes))} HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes.length}\r\n\r\n`,
    );
    socket.write(bytes.subarray(0, 1_000));
    return { socket, rest: bytes.subarray(1_000) };
  });
  await vi.waitUntil(() => filesOf(started).length === 8, { timeout: 20_000 });
  const more = randomBytes(10);
  expect(json(await http(started.worker.address, 'PUT', pathOf(hashOf(more)), more))).toEqual({
    status: 503,
    body: { error: 'the worker is brought 8 artefacts already: ask again later' },
  });
  for (const { socket, rest } of begun.slice(1)) socket.write(rest); // Ended before it is answered, it would have hung up.
  begun[0]!.socket.destroy();
  await vi.waitUntil(() => filesOf(started).filter((name) => name.length === 64).length === 7, {
    timeout: 20_000,
  });
  expect((await http(started.worker.address, 'PUT', pathOf(hashOf(more)), more)).status).toBe(200);
  for (const { socket } of begun) socket.destroy();
});

it('does not write again what it has, unless it is damaged', async () => {
  const started = await startWorker();
  const { worker, artifacts } = started;
  const bytes = randomBytes(1_000_000);
  const sha256 = artifacts.put(bytes);
  // Not what the name says: were it read, it would be refused.
  expect((await http(worker.address, 'PUT', pathOf(sha256), 'else')).status).toBe(200);
  writeFileSync(artifacts.path(sha256), 'damaged');
  expect((await http(worker.address, 'HEAD', pathOf(sha256))).status).toBe(404);
  expect((await http(worker.address, 'PUT', pathOf(sha256), bytes)).status).toBe(200);
  expect(readFileSync(artifacts.path(sha256))).toEqual(bytes);
});

it('bounds an artefact, whether or not its length is announced', async () => {
  const started = await startWorker({ maxArtifactBytes: 100_000 });
  const bytes = randomBytes(100_001);
  for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
    const answer = json(await http(started.worker.address, 'PUT', pathOf(hashOf(bytes)), bytes, headers));
    expect(answer).toEqual({ status: 413, body: { error: expect.stringContaining('100000 bytes') } });
  }
  expect(filesOf(started)).toEqual([]);
});

it('answers a client that sends on after it was refused, and lives on', async () => {
  const started = await startWorker({ token: 'a-token-of-this-test' });
  const bytes = randomBytes(20 * 2 ** 20);
  const answer = await http(started.worker.address, 'PUT', pathOf(hashOf(bytes)), bytes);
  expect(answer.status).toBe(401);
  expect((await http(started.worker.address, 'GET', '/v2/health/live')).status).toBe(200);
});

it('takes artefacts where others can reach it from holders of its token alone', async () => {
  const bytes = randomBytes(10);
  const open = await startWorker({ listen: '0.0.0.0:0' });
  const refused = json(await http(open.worker.address, 'PUT', pathOf(hashOf(bytes)), bytes));
  expect(refused).toEqual({
    status: 403,
    body: { error: expect.stringContaining('set FOVEA_WORKER_TOKEN') },
  });
  expect(filesOf(open)).toEqual([]);

  const token = 'a-token-of-this-test';
  const closed = await startWorker({ listen: '0.0.0.0:0', token });
  const authorization = { authorization: `Bearer ${token}` };
  const put = () => http(closed.worker.address, 'PUT', pathOf(hashOf(bytes)), bytes, authorization);
  expect((await put()).status).toBe(200);
});

it('takes artefacts on a Unix socket', async () => {
  const { artifacts } = await startWorker();
  const path = `${artifacts.dir}/worker`;
  await startWorker({ listen: `unix:${path}` });
  const bytes = randomBytes(10);
  const status = await new Promise((resolve, reject) => {
    request({ socketPath: path, method: 'PUT', path: pathOf(hashOf(bytes)) }, (answer) =>
      resolve(answer.resume().statusCode),
    )
      .once('error', reject)
      .end(bytes);
  });
  expect(status).toBe(200);
});
