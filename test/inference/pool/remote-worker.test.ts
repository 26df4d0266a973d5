import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { WorkerLostError } from '../../../src/inference/oip/errors.ts';
import { WorkerPool } from '../../../src/inference/pool/pool.ts';
import type { RemoteWorker } from '../../../src/inference/pool/remote-worker.ts';
import type { WorkerHost } from '../../../src/inference/pool/worker-host.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { runWorker } from '../../../src/inference/worker/worker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { keepablePort } from '../../support/keepable-port.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

const logger = createLogger('silent');
const image = pixelsOf(4);

async function startServer(artifacts: string, place?: string) {
  const listen = place ?? `127.0.0.1:${await keepablePort()}`;
  const server = await runWorker({ listen, artifacts, threads: 1 }, logger);
  onTestFinished(() => server.close());
  return server;
}

async function meanOfFours(worker: RemoteWorker, variant: Variant): Promise<number | undefined> {
  const { outputs } = await worker.infer(variant, image);
  return elementsOf('FP32', outputs[0]!.data)[0];
}

it('is ready when its server is, and loads what it is asked to run', async () => {
  const artifacts = artifactFolder();
  const server = await startServer(artifacts.dir);
  const worker = connectTo(server.address);
  const ready = vi.fn();
  worker.onReady(ready);
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const answer = await worker.infer(mean, image);
  expect(ready).toHaveBeenCalledOnce();
  expect([...elementsOf('FP32', answer.outputs[0]!.data)]).toEqual([8, 8, 8]);
  expect(answer.device).toBe('cpu');
  await vi.waitUntil(() => worker.stats().memory !== null, { timeout: 20_000 });
  expect(worker.stats()).toEqual({
    ...{ state: 'ready', restarts: 0, recycled: 0, faults: new Map(), pid: null, rssBytes: null },
    ...{ device: 'cpu', variants: 1, memory: expect.anything() },
  });
  const missing = variantOf('missing', 'a'.repeat(64));
  await expect(worker.infer(missing, image)).rejects.toMatchObject({
    name: 'ModelLoadError',
    status: 404,
  });
  await expect(worker.infer(mean, { ...image, name: 'pictures' })).rejects.toMatchObject({
    status: 400,
    message: /'pictures'/,
  });
});

it('waits for a server that is not there yet', async () => {
  const artifacts = artifactFolder();
  const server = await startServer(artifacts.dir);
  await server.close();
  const worker = connectTo(server.address);
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const answer = meanOfFours(worker, mean);
  expect(worker.ready).toBe(false);
  await startServer(artifacts.dir, server.address.replace('http://', ''));
  expect(await answer).toBe(8);
});

it('logs why its server is not ready, once, and when it is', async () => {
  const artifacts = artifactFolder();
  const server = await startServer(artifacts.dir);
  await server.close();
  const lines: string[] = [];
  const log = createLogger('info', { write: (line) => lines.push(line) });
  const worker = connectTo(server.address, { logger: log });
  const logged = () => lines.map((line) => JSON.parse(line) as { msg: string; reason?: string });
  await vi.waitUntil(() => lines.length > 0, { timeout: 20_000 });
  expect(logged()).toMatchObject([
    { msg: 'remote worker is not ready', reason: expect.stringContaining('ECONNREFUSED') },
  ]);
  await startServer(artifacts.dir, server.address.replace('http://', ''));
  await vi.waitUntil(() => worker.ready, { timeout: 20_000 });
  expect(logged().map(({ msg }) => msg)).toEqual(['remote worker is not ready', 'remote worker is ready']);
});

it('loads again what a restart made its server forget, noticed or not', async () => {
  const artifacts = artifactFolder();
  const server = await startServer(artifacts.dir);
  const place = server.address.replace('http://', '');
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const [watching, late] = [connectTo(server.address), connectTo(server.address, { pollMs: 100_000 })];
  expect(await meanOfFours(watching, mean)).toBe(8);
  expect(await meanOfFours(late, mean)).toBe(8);
  await server.close();
  await vi.waitUntil(() => !watching.ready, { timeout: 20_000 });
  await startServer(artifacts.dir, place);
  expect(late.ready).toBe(true);
  expect(await meanOfFours(late, mean)).toBe(8);
  expect(await meanOfFours(watching, mean)).toBe(8);
  expect(watching.stats().restarts).toBe(1);
});

it('loses the batch where its server goes away or does not answer', async () => {
  let hang = false;
  const server = createServer((request, response) => {
    if (!request.url?.endsWith('/infer')) response.end('{}');
    else if (!hang) request.socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const worker = connectTo(`http://127.0.0.1:${port}/behind/a/prefix/`, { inferTimeoutMs: 100 });
  const variant = variantOf('any', 'a'.repeat(64));
  await expect(worker.infer(variant, image)).rejects.toBeInstanceOf(WorkerLostError);
  hang = true;
  await expect(worker.infer(variant, image)).rejects.toMatchObject({
    name: 'WorkerLostError',
    message: expect.stringContaining('within 100 ms'),
  });
  const waiting = expect(worker.ensureLoaded(variant)).resolves.toBeUndefined();
  await vi.waitUntil(() => worker.ready, { timeout: 20_000 });
  await waiting;
});

it('gives a load up that takes longer than its variant may', async () => {
  const server = createServer((request, response) => {
    if (request.url!.endsWith('/ready') && request.url!.includes('/endless/')) response.writeHead(404);
    if (!request.url!.endsWith('/endless/load')) response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const loadTimeoutMs = async ({ key }: Variant) => (key === 'endless' ? 100 : 60_000);
  const worker = connectTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { loadTimeoutMs });
  await expect(worker.ensureLoaded(variantOf('endless', 'a'.repeat(64)))).rejects.toMatchObject({
    name: 'WorkerLostError',
    message: expect.stringContaining('within 100 ms'),
  });
  await worker.ensureLoaded(variantOf('harmless', 'a'.repeat(64)));
});

it('is patient with a server that answers nobody while it loads', async () => {
  const inferTimeoutMs = 1_500;
  let loaded: () => void;
  const load = new Promise<void>((resolve) => {
    loaded = resolve;
  });
  const inferred = vi.fn();
  const server = createServer(async (request, response) => {
    if (request.url?.endsWith('/large/ready')) response.writeHead(404);
    if (request.url?.endsWith('/infer')) inferred();
    if (/(load|infer)$/.test(request.url!)) await load;
    const outputs = [{ name: 'means', datatype: 'FP32', shape: [1, 3], data: [0.5, 0, 0] }];
    response.end(JSON.stringify({ model_name: 'small', outputs }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const worker = connectTo(`http://127.0.0.1:${port}`, { inferTimeoutMs });
  const [small, large] = ['small', 'large'].map((key) => variantOf(key, 'a'.repeat(64)));
  await worker.ensureLoaded(small!);
  const loading = worker.ensureLoaded(large!);
  const answer = worker.infer(small!, image);
  await vi.waitUntil(() => inferred.mock.calls.length > 0, { timeout: 20_000 });
  await new Promise((resolve) => setTimeout(resolve, inferTimeoutMs + 500));
  loaded!();
  await loading;
  expect((await answer).outputs).toHaveLength(1);
  expect(worker.stats()).toMatchObject({ restarts: 0, variants: 2 });
});

it('takes a model that its server has already as it is, and times what its server does not', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => {
      const outputs = ['means', 'more'].map((name) => ({
        name,
        datatype: 'FP32',
        shape: [1, 3],
        data: [0.25, 0.75, 0],
      }));
      response.end(JSON.stringify({ model_name: 'preloaded', outputs }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const worker = connectTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const answer = await worker.infer(variantOf('preloaded', 'a'.repeat(64)), image);
  expect([...elementsOf('FP32', answer.outputs[0]!.data)]).toEqual([0.25, 0.75, 0]);
  expect(answer.outputs).toHaveLength(1);
  expect(answer.device).toBe('remote');
  expect(answer.computeMs).toBeGreaterThan(0);
  expect(asked).toContain('GET /v2/models/preloaded/ready');
  expect(asked.filter((line) => line.endsWith('/load'))).toEqual([]);
  const unknown = { kind: 'logits', tensor: 'scores', background: null } as const;
  const other = { ...variantOf('other', 'a'.repeat(64)), output: unknown };
  await expect(worker.infer(other, image)).rejects.toMatchObject({
    status: 502,
    message: /'scores'.*'means'/,
  });
});

/** Of a host that wants `variants`; what a worker dies of it wants no more. */
function hostOf(variants: readonly Variant[]): WorkerHost {
  const pool = new WorkerPool(logger);
  for (const variant of variants.toReversed()) pool.demand.asked(variant);
  return pool;
}

it('does without a variant that its server does not survive, rather than never be ready', async () => {
  let loads = 0;
  const server = createServer((request, response) => {
    if (request.url!.endsWith('/deadly/load')) {
      loads += 1;
      request.socket.destroy();
      return;
    }
    if (request.url!.endsWith('/deadly/ready')) response.writeHead(404);
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const variants = ['deadly', 'harmless'].map((key) => variantOf(key, 'a'.repeat(64)));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const worker = connectTo(address, { host: hostOf(variants) });
  await vi.waitUntil(() => worker.ready, { timeout: 20_000 });
  expect(loads).toBe(1);
  expect(['deadly', 'harmless'].map((key) => worker.holds(key))).toEqual([false, true]);
});

it('is ready although what its server says of a variant cannot be, which is held against it', async () => {
  const server = createServer((request, response) => {
    if (request.url!.endsWith('/broken/ready')) response.writeHead(404);
    if (request.url!.endsWith('/broken/load'))
      response.writeHead(302, { location: 'http://elsewhere.example' });
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const variants = ['broken', 'harmless'].map((key) => variantOf(key, 'a'.repeat(64)));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const worker = connectTo(address, { host: hostOf(variants) });
  await vi.waitUntil(() => worker.ready, { timeout: 20_000 });
  expect(['broken', 'harmless'].map((key) => worker.holds(key))).toEqual([false, true]);
  expect(worker.stats().faults).toEqual(new Map([['redirect', 1]]));
});

it('learns of what its server has unloaded for others', async () => {
  const artifacts = artifactFolder();
  const server = await startServer(artifacts.dir);
  const worker = connectTo(server.address);
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  await worker.ensureLoaded(mean);
  expect(worker.holds('mean')).toBe(true);
  await fetch(`${server.address}/v2/repository/models/mean/unload`, { method: 'POST' });
  await vi.waitUntil(() => !worker.holds('mean'), { timeout: 20_000 });
  expect(await meanOfFours(worker, mean)).toBe(8);
});
