import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { OipClient } from '../../../src/inference/oip/client.ts';
import { WorkerLostError } from '../../../src/inference/oip/errors.ts';
import { runWorker } from '../../../src/inference/worker/worker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { slowModel } from '../../support/onnx-fixture.ts';
import { exited, firstLine, spawnScript } from '../../support/processes.ts';
import { slowInputs } from './in-process-worker.ts';

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'worker');
}

async function startProcess(path: string, ...more: string[]) {
  const artifacts = artifactFolder();
  const child = spawnScript(
    'worker-main.ts',
    'worker',
    '--listen',
    `unix:${path}`,
    '--artifacts',
    artifacts.dir,
    ...more,
  );
  expect(await firstLine(child)).toBe(`unix:${path}`);
  const client = new OipClient({ socketPath: path });
  onTestFinished(() => client.close());
  return { child, client, artifacts };
}

it('answers on SIGTERM what it was asked before, then exits with 0', async () => {
  const { child, client, artifacts } = await startProcess(socketPath());
  await client.load('slow', { sha256: artifacts.put(slowModel(2)) });
  const answers = Promise.all([400_000, 800_000].map((rounds) => client.infer('slow', slowInputs(rounds))));
  // Asked after them, so they have arrived when this is answered, which is not before the first of them is done.
  expect(await client.serverReady()).toBe(true);
  child.kill('SIGTERM');
  const counted = (await answers).map(({ outputs }) => Buffer.from(outputs[1]!.data).readBigInt64LE());
  expect(counted).toEqual([400_000n, 800_000n]);
  expect(await exited(child)).toBe(0);
  await expect(client.infer('slow', slowInputs(1))).rejects.toBeInstanceOf(WorkerLostError);
});

/** Sends the head of a request and keeps its body back: the worker cannot drain before `finish`. */
async function unfinishedRequest(path: string) {
  const outgoing = request({ socketPath: path, method: 'POST', path: '/v2/repository/index' });
  outgoing.setHeader('content-length', 2);
  const status = new Promise<number | string | undefined>((resolve) => {
    outgoing.once('response', (response) => resolve(response.resume().statusCode));
    outgoing.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  await new Promise<void>((resolve) => outgoing.once('socket', (socket) => socket.once('connect', resolve)));
  outgoing.write('{');
  return { finish: () => outgoing.end('}'), status };
}

async function untilDraining(client: OipClient): Promise<void> {
  await vi.waitUntil(async () => !(await client.serverReady()), { timeout: 20_000, interval: 5 });
}

it('takes the same signal from the terminal and from npm as one', async () => {
  const path = socketPath();
  const { child, client } = await startProcess(path);
  const { finish, status } = await unfinishedRequest(path);
  expect(await client.serverReady()).toBe(true);
  child.kill('SIGINT');
  await untilDraining(client);
  child.kill('SIGINT');
  finish();
  expect(await status).toBe(200);
  expect(await exited(child)).toBe(0);
});

it('ends at once on a later signal', async () => {
  const path = socketPath();
  const { child, client } = await startProcess(path);
  await unfinishedRequest(path);
  expect(await client.serverReady()).toBe(true);
  const again = setInterval(() => child.kill('SIGTERM'), 300);
  expect(await exited(child)).toBe(130);
  clearInterval(again);
});

it('is killed where what it computes does not end', async () => {
  const { child, client, artifacts } = await startProcess(socketPath());
  await client.load('slow', { sha256: artifacts.put(slowModel(2)) });
  const lost = expect(client.infer('slow', slowInputs(Number.MAX_SAFE_INTEGER))).rejects.toThrow();
  // Answered though it computes.
  expect(await client.modelReady('slow')).toBe(true);
  child.kill('SIGTERM');
  expect(await exited(child)).toBe('SIGKILL');
  await lost;
});

it('does not wait for ever for what it was asked before', async () => {
  const path = socketPath();
  const { child, client } = await startProcess(path);
  await unfinishedRequest(path);
  expect(await client.serverReady()).toBe(true);
  child.kill('SIGTERM');
  expect(await exited(child)).toBe(0);
});

it('ends with its standard input where it was told to', async () => {
  const { child, client } = await startProcess(socketPath(), '--exit-with-parent');
  expect(await client.serverReady()).toBe(true);
  child.stdin!.end();
  expect(await exited(child)).toBe('SIGKILL');
});

it('outlives its standard input where it was not', async () => {
  const { child, client } = await startProcess(socketPath());
  child.stdin!.end();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await client.serverReady()).toBe(true);
  child.kill('SIGTERM');
  expect(await exited(child)).toBe(0);
});

it('takes over the socket a killed worker left, and no other', async () => {
  const path = socketPath();
  const { child } = await startProcess(path);
  const again = () =>
    runWorker({ listen: `unix:${path}`, artifacts: '.', threads: 1 }, createLogger('silent'));
  await expect(again()).rejects.toThrow(`cannot listen on unix:${path}: another process listens there`);
  child.kill('SIGKILL');
  await exited(child);
  const worker = await again();
  expect(worker.address).toBe(`unix:${path}`);
  await worker.close();

  writeFileSync(path, 'precious');
  await expect(again()).rejects.toThrow('the file there is not a socket');
});

it.each(['8000', 'host:', 'host:99999', 'unix:', 'http://host:1', '::1:8000', `unix:/${'x'.repeat(107)}`])(
  'refuses to listen on %s as a mistake of usage',
  async (place) => {
    const error = await runWorker(
      { listen: place, artifacts: '.', threads: 1 },
      createLogger('silent'),
    ).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'OperatorError',
      exitCode: 2,
      message: expect.stringContaining(place),
    });
  },
);

it('says where a port is taken', async () => {
  const server = createServer();
  onTestFinished(() => {
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const place = `127.0.0.1:${port}`;
  await expect(
    runWorker({ listen: place, artifacts: '.', threads: 1 }, createLogger('silent')),
  ).rejects.toThrow(`cannot listen on ${place}`);
});

it.skipIf(process.platform !== 'linux')(
  'is small, and carries no engine before it is asked for a model (needs /proc)',
  async () => {
    const { child } = await startProcess(socketPath());
    expect(readFileSync(`/proc/${child.pid}/maps`, 'utf8')).not.toContain('onnxruntime');
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
    expect(Number(kilobytes)).toBeLessThan(300 * 1024);
  },
);
