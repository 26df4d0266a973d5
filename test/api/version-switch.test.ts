import { expect, it, onTestFinished, vi } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { modelFolder } from '../models/model-folder.ts';
import { runCommand } from '../support/command-line.ts';
import { heavyModel, meanModel } from '../support/onnx-fixture.ts';
import { startServer, type TestServer } from '../support/server.ts';

vi.setConfig({ testTimeout: 120_000 });

const image = await sharp({ create: { width: 2, height: 2, channels: 3, background: '#f00' } })
  .png()
  .toBuffer()
  .then((bytes) => ({ base64: bytes.toString('base64') }));

function importVersion(server: TestServer, version: number, file: Uint8Array) {
  const labels = 'red\ngreen\nblue\n';
  const manifest = { name: 'switched', version, input: { width: 2, height: 2 } };
  return runCommand(server, 'models', 'import', modelFolder({ file, labels, manifest }));
}

it('a version that cannot be loaded does not go live: the one before answers on, and the command says why', async () => {
  const server = await startServer({ FOVEA_WORKER_MEMORY: '320MiB' });
  onTestFinished(() => server.close());
  const { client } = await server.createTenant();
  const versionOf = async (model: string) =>
    (await client.classify({ model, images: image })).data?.classify.receipt.version;
  expect(await importVersion(server, 1, meanModel(2, 1))).toMatchObject({ exitCode: 0 });
  expect(await versionOf('switched')).toBe(1);
  expect(await importVersion(server, 2, heavyModel(2, 300))).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(
      /switched@2 \(.*\) is stored, but not live: 1 of 1 running servers did not load it: model .* takes 300 MiB, .* raise --memory, or FOVEA_WORKER_MEMORY\. Import it again/,
    ),
  });
  expect(await versionOf('switched')).toBe(1);
  expect((await client.classify({ model: 'switched@2', images: image })).data!.classify).toMatchObject({
    results: [{ code: 'INFERENCE_FAILED' }],
    receipt: { units: 0 },
  });
  expect(await importVersion(server, 3, meanModel(2, 3))).toMatchObject({ exitCode: 0 });
  expect(await versionOf('switched')).toBe(3);
  // One that was live before stays what it is, and one that another has overtaken does not come back.
  expect(await importVersion(server, 1, meanModel(2, 1))).toMatchObject({ exitCode: 0 });
  expect(await versionOf('switched')).toBe(3);
  expect(await versionOf('switched@1')).toBe(1);
});

it('a new version is held by as many workers as the one before when it goes live, and no request fails', async () => {
  const server = await startServer({ FOVEA_WORKERS_PER_DEVICE: '2' });
  onTestFinished(() => server.close());
  const { client } = await server.createTenant();
  const { pool } = server.context;
  expect(await importVersion(server, 1, heavyModel(2, 20, 'one'))).toMatchObject({ exitCode: 0 });
  const keyOf = (version: number) =>
    pool.demand.lately.find(({ title }) => title === `switched@${version}`)!.key;
  const first = pool.demand.get(keyOf(1))!;
  await Promise.all(pool.workers.map((worker) => worker.ensureLoaded(first)));
  const versions: (number | undefined)[] = [];
  let isOver = false;
  const load = Array.from({ length: 3 }, async () => {
    while (!isOver) {
      const { data, errors } = await client.classify({ model: 'switched', images: image });
      expect(errors).toEqual([]);
      expect(data!.classify.results).toMatchObject([{ labels: [{ label: 'red' }, {}, {}] }]);
      versions.push(data!.classify.receipt.version);
      // By the time that the first is answered by it.
      if (versions.at(-1) === 2 && versions.at(-2) === 1) expect(pool.holders(keyOf(2))).toBe(2);
    }
  });
  await vi.waitUntil(() => versions.length > 20, { timeout: 60_000 });
  expect(await importVersion(server, 2, heavyModel(2, 20, 'two'))).toMatchObject({ exitCode: 0 });
  const imported = versions.length;
  await vi.waitUntil(() => versions.length > imported + 20, { timeout: 60_000 });
  isOver = true;
  await Promise.all(load);
  expect(versions.slice(0, 20)).toEqual(Array(20).fill(1));
  expect(versions.slice(-10)).toEqual(Array(10).fill(2));
  expect(pool.holders(keyOf(2))).toBe(2);
});
