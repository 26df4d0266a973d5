import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, it, onTestFinished } from 'vitest';
import { runWorker } from '../../src/inference/worker/worker.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { modelFolder } from '../models/model-folder.ts';
import { runCommand } from '../support/command-line.ts';
import { meanModel } from '../support/onnx-fixture.ts';
import { examplePicture, startServer } from '../support/server.ts';

it('one remote worker of two that is down keeps the API neither from serving nor from taking new models', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'fovea-test-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  cpSync(inject('installed').dataDir, dataDir, { recursive: true });
  const start = () =>
    runWorker(
      { listen: '127.0.0.1:0', artifacts: join(dataDir, 'artifacts'), threads: 1 },
      createLogger('silent'),
    );
  const [up, down] = [await start(), await start()];
  onTestFinished(() => up.close());
  await down.close();

  const server = await startServer({
    FOVEA_DATA_DIR: dataDir,
    FOVEA_WORKERS: `${down.address},${up.address}`,
  });
  onTestFinished(() => server.close());
  expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
  const { client } = await server.createTenant();
  const image = { base64: examplePicture() };
  expect((await client.classify({ images: image })).errors).toEqual([]);

  const manifest = modelFolder({
    file: meanModel(2, 1),
    labels: 'red\ngreen\nblue\n',
    manifest: { name: 'means', input: { width: 2, height: 2 } },
  });
  expect(await runCommand({ ...server, dataDir }, 'models', 'import', manifest)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('It is served.'),
  });
  expect((await client.classify({ model: 'means', images: image })).errors).toEqual([]);
});
