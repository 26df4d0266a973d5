import { expect, it, onTestFinished, vi } from 'vitest';
import { modelFolder } from '../models/model-folder.ts';
import { runCommand } from '../support/command-line.ts';
import { heavyModel } from '../support/onnx-fixture.ts';
import { openServer } from '../support/open-server.ts';
import { startServer } from '../support/server.ts';

vi.setConfig({ testTimeout: 120_000 });

it('a model that finds no room at the start keeps none of those after it from being loaded ahead', async () => {
  const server = await startServer();
  onTestFinished(() => server.close());
  // By its name the first.
  const manifest = { name: 'a-large-one', version: 1, input: { width: 2, height: 2 } };
  const folder = modelFolder({ file: heavyModel(2, 300), labels: 'red\ngreen\nblue\n', manifest });
  expect(await runCommand(server, 'models', 'import', folder)).toMatchObject({ exitCode: 0 });
  const small = await openServer(server, { FOVEA_WORKER_MEMORY: '320MiB' });
  onTestFinished(() => small.close());
  const { pool } = small.context;
  expect(pool.demand.lately.map(({ title }) => title)).toEqual([
    'shapes-segment@1',
    'shapes-detect@1',
    'shapes@1',
  ]);
  expect(pool.demand.lately.map(({ key }) => pool.holders(key))).toEqual([1, 1, 1]);
});
