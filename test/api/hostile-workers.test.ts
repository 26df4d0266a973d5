import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { modelFolder } from '../models/model-folder.ts';
import { runCommand } from '../support/command-line.ts';
import { FoveaWorker } from '../support/fovea-worker.ts';
import { unreadableOnDarkModel } from '../support/onnx-fixture.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { type Mischief, SpoiltWorker } from '../support/spoilt-worker.ts';

const image = { base64: examplePicture() };
const patience = { timeout: 120_000, interval: 50 };
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

type AtEnd = (clean: () => void | Promise<void>) => void;

/** A server with a good worker and others, and a tenant's client that sees to it that it notices nothing. */
async function serve(
  good: FoveaWorker,
  others: readonly string[],
  log: string[],
  atEnd: AtEnd = onTestFinished,
) {
  const logger = createLogger('info', { write: (line) => log.push(line) });
  const server = await startServer({ FOVEA_WORKERS: [...others, good.address].join() }, { logger });
  atEnd(() => server.close());
  const { client } = await server.createTenant();
  const ask = async () => {
    const { data, errors } = await client.classify({ images: [image, image] });
    expect(errors).toEqual([]);
    for (const result of data!.classify.results) {
      expect(result).toMatchObject({ labels: [{ label: 'red circle' }, {}, {}, {}, {}] });
    }
  };
  const askUntil = async (isDone: () => Promise<boolean>) => {
    await vi.waitUntil(async () => {
      await Promise.all(Array.from({ length: 4 }, ask));
      return isDone();
    }, patience);
  };
  return { server, askUntil };
}

async function metricOf({ url }: TestServer, line: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((each) => each.startsWith(`${line} `))
      ?.split(' ')[1] ?? 0,
  );
}

const stateOf = (server: TestServer, address: string, state: string) =>
  metricOf(server, `fovea_worker_state{worker="${address}",state="${state}"}`);
const faultsOf = (server: TestServer, address: string, reason: string) =>
  metricOf(server, `fovea_worker_faults_total{worker="${address}",reason="${reason}"}`);
const answersOf = (server: TestServer, address: string) =>
  metricOf(server, `fovea_worker_batches_total{worker="${address}"}`);

describe('workers that go bad beside a good one are found out, counted and ejected, and clients notice nothing', () => {
  const mischiefs: [Mischief, string, RegExp][] = [
    ['another shape', 'shape', /\[\d, 37\].*\[\d, 36\] was expected/],
    ['another type', 'datatype', /FP64 where FP32 was expected/],
    ['no numbers', 'unreadable', /NaN/],
    ['an endless body', 'too-large', /larger than/],
    ['a redirect', 'redirect', /redirects to elsewhere\.example \(307\)/],
    ['no JSON', 'protocol', /JSON/],
  ];
  const cleanUps: (() => void | Promise<void>)[] = [];
  const atEnd: AtEnd = (clean) => void cleanUps.unshift(clean);
  const log: string[] = [];
  let good: FoveaWorker;
  let spoilt: SpoiltWorker[];
  let server: TestServer;
  let askUntil: Awaited<ReturnType<typeof serve>>['askUntil'];

  const all = async (isSo: (address: string, reason: string) => Promise<boolean>) =>
    (await Promise.all(spoilt.map(({ address }, n) => isSo(address, mischiefs[n]![1])))).every(Boolean);

  beforeAll(async () => {
    good = await FoveaWorker.start({ atEnd });
    spoilt = await Promise.all(mischiefs.map(() => SpoiltWorker.before(good.address, atEnd)));
    ({ server, askUntil } = await serve(
      good,
      spoilt.map(({ address }) => address),
      log,
      atEnd,
    ));
    mischiefs.forEach(([mischief], n) => {
      spoilt[n]!.mischief = mischief;
    });
    // A pause may be over before anybody looks: the log is not.
    const isEjected = (address: string) =>
      log.some((line) => line.includes(address) && line.includes('remote worker is ejected'));
    await askUntil(() => all(async (address) => isEjected(address)));
  });
  afterAll(async () => {
    for (const clean of cleanUps) await clean();
  });

  it.each(mischiefs)('%s', async (mischief, reason, told) => {
    const { address } = spoilt.find((each) => each.mischief === mischief)!;
    expect(await faultsOf(server, address, reason)).toBeGreaterThanOrEqual(3);
    expect(log.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({
        worker: address,
        fault: reason,
        reason: expect.stringMatching(told),
        msg: 'remote worker is at fault',
      }),
    );
  });

  it('nothing is held against the good one, and nothing confidential is logged', async () => {
    expect(await stateOf(server, good.address, 'ready')).toBe(1);
    const { url } = server;
    expect(await (await fetch(`${url}/metrics`)).text()).not.toContain(
      `faults_total{worker="${good.address}"`,
    );
    expect(log.join('')).not.toContain('secret');
  });

  it('after its pause each is given work again: one more fault is enough, and good answers bring it back', async () => {
    const before = new Map<string, number>();
    await all(async (address, reason) => !!before.set(address, await faultsOf(server, address, reason)));
    const after = new Set<string>();
    await askUntil(() =>
      all(async (address, reason) => {
        if ((await faultsOf(server, address, reason)) > before.get(address)!) after.add(address);
        return after.has(address);
      }),
    );
    for (const each of spoilt) each.mischief = null;
    await vi.waitUntil(
      () => all(async (address) => (await stateOf(server, address, 'ready')) === 1),
      patience,
    );
    const then = new Map<string, number>();
    await all(async (address) => !!then.set(address, await answersOf(server, address)));
    await askUntil(() => all(async (address) => (await answersOf(server, address)) > then.get(address)!));
  });
});

describe('one worker beside a good one', () => {
  it('a body that never comes: it is given no more until it answers, and its images are answered elsewhere', async () => {
    const good = await FoveaWorker.start();
    const spoilt = await SpoiltWorker.before(good.address);
    const { server, askUntil } = await serve(good, [spoilt.address], []);
    // How long its batches take is known by now.
    await askUntil(async () => (await answersOf(server, spoilt.address)) > 3);
    spoilt.mischief = 'a body that never comes';
    await askUntil(async () => (await stateOf(server, spoilt.address, 'suspect')) === 1);
    const { spoilt: given } = spoilt;
    await askUntil(async () => true);
    expect(spoilt.spoilt).toBe(given);
  });

  it('no worker is blamed for what a model answers to a picture, wherever it is run', async () => {
    const workers = [await FoveaWorker.start(), await FoveaWorker.start()];
    const server = await startServer({ FOVEA_WORKERS: workers.map(({ address }) => address).join() });
    onTestFinished(() => server.close());
    const manifest = modelFolder({
      file: unreadableOnDarkModel(2),
      labels: 'red\ngreen\nblue\n',
      manifest: { name: 'night-blind', input: { width: 2, height: 2 } },
    });
    expect(await runCommand(server, 'models', 'import', manifest)).toMatchObject({ exitCode: 0 });
    const { client } = await server.createTenant();
    const black = sharp({ create: { width: 2, height: 2, channels: 3, background: '#000' } });
    const dark = { base64: (await black.png().toBuffer()).toString('base64') };
    for (let times = 0; times < 5; times += 1) {
      const { data } = await client.classify({ model: 'night-blind', images: [dark, dark] });
      expect(data!.classify.results).toMatchObject([
        { code: 'INFERENCE_FAILED' },
        { code: 'INFERENCE_FAILED' },
      ]);
    }
    for (const worker of server.context.pool.workers)
      expect(worker.stats()).toMatchObject({ state: 'ready', faults: new Map() });
  });

  it('what its model fails on is not held against it', async () => {
    const good = await FoveaWorker.start();
    const spoilt = await SpoiltWorker.before(good.address);
    const server = await startServer({ FOVEA_WORKERS: spoilt.address });
    onTestFinished(() => server.close());
    const { client } = await server.createTenant();
    spoilt.mischief = 'an error';
    for (let times = 0; times < 5; times += 1) {
      const { data } = await client.classify({ images: [image] });
      expect(data!.classify.results).toMatchObject([{ code: 'INFERENCE_FAILED' }]);
    }
    const [worker] = server.context.pool.workers;
    expect(worker!.stats()).toMatchObject({ state: 'ready', faults: new Map() });
  });
});

describe('a worker that is not who it should be', () => {
  const tls = join(import.meta.dirname, '../support/tls');

  it('by its certificate, is given nothing', async () => {
    let asked = 0;
    const impostor = createServer(
      { cert: readFileSync(join(tls, 'worker-cert.pem')), key: readFileSync(join(tls, 'worker-key.pem')) },
      (_, response) => {
        asked += 1;
        response.end('{}');
      },
    );
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void impostor.close());
    const address = `https://127.0.0.1:${(impostor.address() as AddressInfo).port}`;
    const log: string[] = [];
    const { server, askUntil } = await serve(await FoveaWorker.start(), [address], log);
    await askUntil(async () => (await stateOf(server, address, 'ejected')) === 1);
    expect(await faultsOf(server, address, 'tls')).toBeGreaterThan(2);
    expect(log.join('')).toMatch(
      /"fault":"tls","reason":"the worker's TLS is refused: self.signed certificate/,
    );
    expect(asked).toBe(0);
  });

  it('or that takes another token than ours, is given nothing, and the log says what to set', async () => {
    const strict = await FoveaWorker.start({ token: 'quite-another-token' });
    const log: string[] = [];
    const { server, askUntil } = await serve(await FoveaWorker.start(), [strict.address], log);
    await askUntil(async () => (await faultsOf(server, strict.address, 'unauthorized')) > 2);
    expect(log.join('')).toContain('FOVEA_WORKER_TOKEN is not set, and the server wants a token');
    expect(await metricOf(server, `fovea_worker_ready{worker="${strict.address}"}`)).toBe(0);
  });
});
