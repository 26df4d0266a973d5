import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { expect, it, vi } from 'vitest';
import { probeProvider } from '../../src/inference/providers/probe.ts';
import { installation, installed, patience, processesOf } from './installation.ts';

const hasCuda = (await probeProvider('cuda')).works;
const lines =
  /cuda cannot compute here: .+\n.+\n {2}nvidia-smi .+\n {2}apt-get install .+\n {2}ONNXRUNTIME_NODE_INSTALL=/;

it.skipIf(hasCuda)(
  'a start without CUDA that asks for it ends with 2 and what installs it, before anything is made (skipped with CUDA)',
  async () => {
    const place = installation();
    const { code, stdout, stderr } = await place.npmStart({ FOVEA_PROVIDERS: 'cuda' }).ended;
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(lines);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(stdout).not.toContain('fovea ready');
    expect(existsSync(place.dataDir)).toBe(false);
  },
);

it.skipIf(hasCuda)(
  'so does a worker by hand, whether its option or the setting asks (skipped with CUDA)',
  async () => {
    const place = installation();
    const listen = ['worker', '--listen', '127.0.0.1:0'];
    const ended = await Promise.all([
      place.run(...listen, '--providers', 'cuda').ended,
      place.runWith({ FOVEA_PROVIDERS: 'cuda' }, ...listen).ended,
    ]);
    for (const { code, stdout, stderr } of ended) {
      expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(lines);
    }
  },
);

it('workers of an installation that has others elsewhere need no provider of its own', async () => {
  const place = installation();
  const worker = place.run('worker', '--listen', '127.0.0.1:0');
  const address = await vi.waitUntil(
    () => /^fovea worker ready (\S+)$/m.exec(worker.output().stdout)?.[1],
    patience,
  );
  const server = await place.start({ FOVEA_WORKERS: address, FOVEA_PROVIDERS: 'cuda' });
  expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
});

it('tells what can compute, and exits with 1 where a named provider cannot', async () => {
  const place = installation();
  const { code, stdout, stderr } = await place.run('providers', 'cpu', '--json').ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual([
    { provider: 'cpu', works: true, devices: [{ device: 'cpu', name: null, distance: 0 }] },
  ]);
  expect(await place.run('providers', 'gpu').ended).toMatchObject({ code: 2, stdout: '' });
  const cuda = await place.run('providers', 'cuda').ended;
  expect(cuda.code).toBe(hasCuda ? 0 : 1);
  expect(cuda.stdout).toMatch(hasCuda ? /^cuda:0 +computes/m : /^cuda +cannot +/m);
});

it('as many workers as are asked for share the cores', async () => {
  const place = await installed();
  const server = await place.start({ FOVEA_WORKERS_PER_DEVICE: '2' });
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toMatch(/^fovea_worker_info\{worker="local-0",device="cpu"\} 1$/m);
  expect(metrics).toMatch(/^fovea_worker_info\{worker="local-1",device="cpu"\} 1$/m);
  const workers = processesOf(place.dataDir).filter(({ command }) => /\0worker\0/.test(command));
  expect(workers).toHaveLength(2);
  const threads = workers.map(({ command }) => Number(/--threads\0(\d+)/.exec(command)?.[1]));
  expect(threads).toEqual([0, 1].map(() => Math.max(1, Math.floor(availableParallelism() / 2))));
});
