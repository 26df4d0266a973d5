import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { OipClient } from '../../../src/inference/oip/client.ts';
import { onCpu } from '../../../src/inference/providers/provider.ts';
import type { EngineLoader } from '../../../src/inference/worker/engine.ts';
import { engines } from '../../../src/inference/worker/engines/index.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { enginesHere } from '../../support/engines-here.ts';
import { meanModel, slowModel } from '../../support/onnx-fixture.ts';
import { exited, firstLine, spawnScriptIn } from '../../support/processes.ts';
import { pixelsOf } from '../../support/variants.ts';
import { http, json, slowInputs, startWorker, untilPending } from './in-process-worker.ts';

/** A worker process of its own. */
async function startProcess(environment: Readonly<Record<string, string>> = {}) {
  const artifacts = artifactFolder();
  const child = spawnScriptIn(environment, 'worker-main.ts', '--artifacts', artifacts.dir);
  const base = await firstLine(child);
  const client = new OipClient({ baseUrl: base });
  onTestFinished(() => client.close());
  return { artifacts, child, base, client };
}

it('goes on to read and to answer while a run never ends; what says that it is well waits', async () => {
  const { artifacts, child, base, client } = await startProcess();
  await client.load('slow', { sha256: artifacts.put(slowModel(2)) });
  const lost = expect(client.infer('slow', slowInputs(Number.MAX_SAFE_INTEGER))).rejects.toThrow();
  const { body } = json(await http(base, 'GET', '/v2/models/slow'));
  expect(body.name).toBe('slow');
  for (const path of ['/v2/health/live', '/v2/health/ready', '/v2/memory']) {
    const answered = http(base, 'GET', path).then(
      () => 'answered',
      () => 'lost',
    );
    expect(await Promise.race([answered, sleep(200, 'quiet')])).toBe('quiet');
  }
  // It waits for its turn, and no longer than it may.
  const late = client.infer('slow', slowInputs(1), { parameters: { timeout: 50_000 } });
  await expect(late).rejects.toThrow('timeout expired');
  child.kill('SIGKILL');
  await lost;
});

it('ends with the thread of its engines, and with its code', async () => {
  const leave = `import { isMainThread } from 'node:worker_threads'; if (!isMainThread) process.exit(70);`;
  const before = `--import=data:text/javascript,${encodeURIComponent(leave)}`;
  const { artifacts, child, client } = await startProcess({ NODE_OPTIONS: before });
  await expect(client.load('mean', { sha256: artifacts.put(meanModel(2, 1)) })).rejects.toThrow();
  expect(await exited(child)).toBe(70);
});

it('has a run wait its turn behind a load, where nobody is charged for the time', async () => {
  const [opening, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let loads = 0;
  const held: EngineLoader = async () => {
    const settings = { threads: 1, compute: onCpu, tensorFlow: 'auto' } as const;
    const engine = await engines(settings, createLogger('silent')).onnx();
    return {
      ...engine,
      async load(artifact, files) {
        loads += 1;
        if (loads > 1) {
          opening.resolve();
          await goOn.promise;
        }
        return engine.load(artifact, files);
      },
    };
  };
  const { worker, client, artifacts } = await startWorker({}, { engines: enginesHere({ onnx: held }) });
  const sha256 = artifacts.put(meanModel(2, 1));
  await client.load('there', { sha256 });
  const loading = client.load('coming', { sha256 });
  await opening.promise;
  const asked = client.infer('there', [pixelsOf(4)]);
  await untilPending(worker.address, 1);
  goOn.resolve();
  await Promise.all([loading, asked]);
});
