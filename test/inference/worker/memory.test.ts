import { expect, it } from 'vitest';
import { OipClient } from '../../../src/inference/oip/client.ts';
import { heavyModel, slowOnBrightModel } from '../../support/onnx-fixture.ts';
import { pixelsOf } from '../../support/variants.ts';
import { startWorkerCommand } from '../../support/worker-command.ts';
import { http, json } from './in-process-worker.ts';

const MIB = 2 ** 20;
const budget = 420 * MIB;

/** A worker process of 420 MiB, and models of 50 MiB each for it. */
async function start(memory = '420MiB') {
  const { address, artifacts } = await startWorkerCommand({ args: ['--memory', memory] });
  const client = new OipClient({ baseUrl: address });
  const sources = new Map<string, string>();
  const load = async (name: string, more: Record<string, unknown> = {}, megabytes = 50) => {
    const sha256 = sources.get(name) ?? artifacts.put(heavyModel(2, megabytes, name));
    sources.set(name, sha256);
    const body = JSON.stringify({ parameters: { sha256, ...more } });
    return json(await http(address, 'POST', `/v2/repository/models/${name}/load`, body));
  };
  const run = (name: string, grey = 4) => client.infer(name, [pixelsOf(grey)]);
  const memory_ = async () => json(await http(address, 'GET', '/v2/memory')).body;
  const held = async () => (await memory_()).models.map(({ name }: { name: string }) => name);
  /** Loads models, each of them run once, until one has to go; answers which did. */
  const fill = async (prefix = 'm') => {
    for (let index = 0; index < 10; index += 1) {
      const { status, body } = await load(`${prefix}${index}`);
      expect(status).toBe(200);
      await run(`${prefix}${index}`);
      if (body.unloaded.length > 0) return body.unloaded as string[];
    }
    throw new Error('everything found room');
  };
  return { address, artifacts, client, load, run, memory: memory_, held, fill };
}

it('unloads what was of use least lately where another model finds no room, and stays within its budget', async () => {
  const { run, memory, held, fill, address } = await start();
  expect(await fill()).toEqual(['m0']);
  const { models, ...use } = await memory();
  expect(models.length).toBeGreaterThan(2);
  for (const { bytes } of models) expect(bytes).toBeGreaterThanOrEqual(50 * MIB);
  expect(use).toEqual({
    ...{ budget_bytes: budget, resident_bytes: expect.any(Number), free_bytes: expect.any(Number) },
    exceeded: false,
  });
  expect(use.resident_bytes).toBeLessThan(budget);
  // By use, not by when it was loaded.
  await run('m1');
  expect(await fill('n')).toEqual(['m2']);
  expect(await held()).toContain('m1');
  await expect(run('m2')).rejects.toMatchObject({ status: 404 });
  const metrics = (await http(address, 'GET', '/metrics')).body.toString();
  expect(metrics).toContain('\nfovea_models_unloaded_total 2\n');
  expect(metrics).toContain(`\nfovea_memory_budget_bytes ${budget}\n`);
  expect(metrics).toMatch(/^fovea_model_memory_bytes\{model="m1"\} \d{8}$/m);
  const metadata = json(await http(address, 'GET', '/v2/models/m1')).body;
  expect(metadata.parameters).toEqual({
    memory_bytes: models.find(({ name }: { name: string }) => name === 'm1').bytes,
  });
});

it('unloads nothing for what is to be there only if there is room', async () => {
  const { load, held, fill } = await start();
  await fill();
  const before = await held();
  expect(await load('more', { only_if_room: true }, 150)).toEqual({
    status: 507,
    body: {
      error: expect.stringMatching(/^model 'more' takes [\d.]+ MiB, and .* are free: nothing is unloaded/),
    },
  });
  expect(await held()).toEqual(before);
  expect((await load('more', { only_if_room: 'yes' })).status).toBe(400);
});

it('refuses what finds no room even alone, with what it takes, what there is and which setting says so', async () => {
  const { load, run, held } = await start('320MiB');
  expect((await load('m0')).status).toBe(200);
  expect(await load('huge', {}, 290)).toEqual({
    status: 507,
    body: {
      error: expect.stringMatching(
        /^model 'huge' takes 290 MiB, and the worker's memory is 320 MiB of which models may have \d+ MiB: raise --memory, or FOVEA_WORKER_MEMORY$/,
      ),
    },
  });
  expect(await held()).toEqual(['m0']);
  await run('m0');
});

it('breaks no run by unloading: what runs is answered, and what waits is told that the model is gone', async () => {
  const { client, artifacts, fill } = await start();
  const sha256 = artifacts.put(slowOnBrightModel(2));
  await client.load('slow', { sha256 });
  // 2^19 rounds: half a second.
  const runs = [1, 2, 3].map(() => client.infer('slow', [pixelsOf(19)], { outputs: ['means'] }));
  const outcomes = Promise.allSettled(runs);
  expect([...(await fill()), ...(await fill('n'))]).toContain('slow');
  for (const outcome of await outcomes) {
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ status: 404 });
    else expect(outcome.value.outputs).toHaveLength(1);
  }
  expect((await outcomes)[0]!.status).toBe('fulfilled');
});

it('lets two models that do not fit beside each other both have their runs', async () => {
  const { load, run } = await start('280MiB');
  const answered = new Map([
    ['a', 0],
    ['b', 0],
  ]);
  // Whoever finds its model gone loads it again, as the API does.
  const use = async (name: string) => {
    for (let index = 0; index < 5; ) {
      try {
        await run(name);
        index += 1;
        answered.set(name, index);
      } catch (error) {
        expect(error).toMatchObject({ status: 404 });
        expect((await load(name)).status).toBe(200);
      }
    }
  };
  await Promise.all([use('a'), use('b')]);
  expect([...answered.values()]).toEqual([5, 5]);
});
