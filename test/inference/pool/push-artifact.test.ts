import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { expect, it, onTestFinished, vi } from 'vitest';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { runWorker } from '../../../src/inference/worker/worker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

const token = 'only-for-workers-0123456789';

async function startServer(artifacts: string) {
  const server = await runWorker(
    { listen: '127.0.0.1:0', artifacts, threads: 1, token },
    createLogger('silent'),
  );
  onTestFinished(() => server.close());
  return server;
}

it('brings a worker what its store lacks, graph and weights, and nothing twice', async () => {
  const [here, there] = [artifactFolder(), artifactFolder()];
  const server = await startServer(there.dir);
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  const worker = connectTo(server.address, { logger, token, artifacts: here.dir });
  const weights = here.put(Buffer.alloc(3 * 2 ** 20, 7));
  const mean = { ...variantOf('mean', here.put(meanModel(2, 2))), externalData: [weights] };
  const { outputs } = await worker.infer(mean, pixelsOf(4));
  expect(elementsOf('FP32', outputs[0]!.data)[0]).toBe(8);
  for (const sha256 of [mean.artifactSha256, weights]) expect(existsSync(there.path(sha256))).toBe(true);
  const brought = () =>
    lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'an artefact was brought to a worker');
  expect(brought()).toMatchObject([
    { sha256: mean.artifactSha256 },
    { sha256: weights, bytes: 3 * 2 ** 20, worker: server.address },
  ]);
  await worker.ensureLoaded({ ...mean, key: 'the same by another name' });
  expect(brought()).toHaveLength(2);
});

it('waits for its turn where the worker is brought as much as it takes, however large', async () => {
  const [here, there] = [artifactFolder(), artifactFolder()];
  const server = await startServer(there.dir);
  const lines: string[] = [];
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  const worker = connectTo(server.address, { logger, token, artifacts: here.dir });
  const others = Array.from({ length: 8 }, (_, index) => {
    const path = `${server.address}/v2/repository/artifacts/${String(index).repeat(64)}`;
    const headers = { authorization: `Bearer ${token}`, 'content-length': 1_000 };
    const outgoing = request(path, { method: 'PUT', headers }).on('error', () => undefined);
    outgoing.write(Buffer.alloc(999));
    return outgoing;
  });
  const unfinished = () => readdirSync(there.dir, { recursive: true }).filter((name) => name.length > 80);
  await vi.waitUntil(() => unfinished().length === 8, { timeout: 20_000 });
  const weights = here.put(Buffer.alloc(100 * 2 ** 20, 7));
  const mean = { ...variantOf('mean', there.put(meanModel(2, 2))), externalData: [weights] };
  const loaded = worker.ensureLoaded(mean);
  const waits = () => lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg.includes('waits'));
  await vi.waitUntil(() => waits().length > 0, { timeout: 20_000 });
  expect(waits()).toMatchObject([
    { sha256: weights, reason: expect.stringContaining('8 artefacts already') },
  ]);
  expect(existsSync(there.path(weights))).toBe(false);
  for (const outgoing of others) outgoing.destroy();
  await loaded;
  expect(existsSync(there.path(weights))).toBe(true);
  expect(worker.stats()).toMatchObject({ state: 'ready', faults: new Map() });
});

it('says so where what the worker lacks is not here either, and leaves nothing where it is damaged', async () => {
  const [here, there] = [artifactFolder(), artifactFolder()];
  const worker = connectTo((await startServer(there.dir)).address, { token, artifacts: here.dir });
  await expect(worker.ensureLoaded(variantOf('missing', 'a'.repeat(64)))).rejects.toMatchObject({
    name: 'ModelLoadError',
    message: expect.stringContaining('here it cannot be read'),
  });
  const damaged = variantOf('damaged', here.put(meanModel(2, 3)));
  writeFileSync(here.path(damaged.artifactSha256), 'something else');
  await expect(worker.ensureLoaded(damaged)).rejects.toMatchObject({ name: 'ModelLoadError', status: 400 });
  expect(existsSync(there.path(damaged.artifactSha256))).toBe(false);
  expect(worker.stats()).toMatchObject({ state: 'ready', faults: new Map() });
});
