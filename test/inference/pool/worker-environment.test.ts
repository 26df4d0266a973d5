import { existsSync, readFileSync } from 'node:fs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { WorkerProcess } from '../../../src/inference/pool/worker-process.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';

/** In the place of a worker: writes down its environment, and ends. */
const tellEnvironment = `
  const folder = process.argv[process.argv.indexOf('--artifacts') + 1];
  require('node:fs').writeFileSync(folder + '/environment', JSON.stringify(process.env));
`;

it('a worker is told where things are and how to run, and no secret', async () => {
  vi.stubEnv('DATABASE_URL', 'postgresql://fovea:secret@db/fovea');
  vi.stubEnv('FOVEA_INIT_PASSWORD', 'secret');
  vi.stubEnv('FOVEA_INIT_API_KEY', 'secret');
  vi.stubEnv('NODE_AUTH_TOKEN', 'secret');
  vi.stubEnv('ORT_LOGGING_LEVEL', '3');
  vi.stubEnv('VK_DRIVER_FILES', '/drivers.json');
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  const { dir } = artifactFolder();
  const command = [process.execPath, '-e', tellEnvironment];
  const worker = new WorkerProcess(command, {
    artifacts: dir,
    threads: 1,
    tensorFlow: 'auto',
    logLevel: 'warn',
  });
  expect(await worker.ended).toEqual({ how: 'exit code 0', isCrash: false });
  expect(existsSync(`${dir}/environment`)).toBe(true);
  const told = JSON.parse(readFileSync(`${dir}/environment`, 'utf8'));
  expect(told).toMatchObject({ PATH: process.env.PATH, ORT_LOGGING_LEVEL: '3', FOVEA_LOG_LEVEL: 'warn' });
  expect(told.VK_DRIVER_FILES).toBe('/drivers.json');
  expect(Object.values(told).filter((value) => String(value).includes('secret'))).toEqual([]);
});
