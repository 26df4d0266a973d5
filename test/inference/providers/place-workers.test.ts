import { availableParallelism } from 'node:os';
import { expect, it } from 'vitest';
import { placeOn, placeWorkers } from '../../../src/inference/providers/place-workers.ts';
import { probeProvider } from '../../../src/inference/providers/probe.ts';
import { needsVulkan, useVulkan, vulkan } from '../../support/vulkan.ts';

const hasCuda = (await probeProvider('cuda')).works;
const onCpu = { providers: ['cpu'], deviceId: 0 };

it('the CPU takes as many workers as are asked for', async () => {
  expect(await placeWorkers(['cpu'], 1)).toEqual([onCpu]);
  expect(await placeWorkers(['cpu'], 3)).toEqual([onCpu, onCpu, onCpu]);
});

it('the CPU takes two workers where nobody says how many, if it has two cores', async () => {
  expect(await placeWorkers(['cpu'], null)).toHaveLength(Math.min(2, availableParallelism()));
});

it('a worker is given no device that is not there', async () => {
  expect(await placeOn(0, ['cpu'])).toEqual(onCpu);
  await expect(placeOn(1, ['cpu'])).rejects.toMatchObject({
    exitCode: 2,
    message: '--device: found 1, wanted 0..0: cpu shows 1.',
  });
});

it.skipIf(hasCuda)(
  'what cannot compute here is refused with every reason and what installs it, also behind what can (skipped with CUDA)',
  async () => {
    const refusal = await placeWorkers(['cpu', 'cuda', 'tensorrt'], 1).catch((error: Error) => error);
    expect(refusal).toMatchObject({ name: 'OperatorError', exitCode: 2 });
    const { message } = refusal as Error;
    expect(message).toMatch(/^FOVEA_PROVIDERS: cuda cannot compute here: .+\.$/m);
    expect(message).toMatch(/^FOVEA_PROVIDERS: tensorrt cannot compute here: .+\.$/m);
    expect(message).toMatch(/^ {2}nvidia-smi /m);
    expect(message).toMatch(/^ {2}apt-get install .*libcudnn9-cuda-12 .*libnvinfer10/m);
    expect(message).toMatch(
      /^ {2}ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules\/onnxruntime-node\/script\/install\.js/m,
    );
  },
);

it('a driver that finds no device is told of by its own words', async () => {
  const { VK_ICD_FILENAMES: before } = process.env;
  process.env.VK_ICD_FILENAMES = '/nowhere.json';
  const probe = await probeProvider('webgpu').finally(() => {
    if (before === undefined) delete process.env.VK_ICD_FILENAMES;
    else process.env.VK_ICD_FILENAMES = before;
  });
  expect(probe).toMatchObject({
    provider: 'webgpu',
    works: false,
    reason: expect.stringMatching(/WebGPU|for \w+ on \w+ has/),
  });
});

it.skipIf(vulkan === null)(
  `WebGPU is one device, whose answer to the CPU's is close (${needsVulkan})`,
  async () => {
    useVulkan();
    const probe = await probeProvider('webgpu');
    expect(probe).toMatchObject({ works: true, devices: [{ device: 'webgpu' }] });
    if (probe.works) expect(probe.devices[0]!.distance).toBeLessThan(1e-4);
    const compute = { providers: ['webgpu', 'cpu'], deviceId: 0 };
    expect(await placeWorkers(['webgpu', 'cpu'], 2)).toEqual([compute, compute]);
  },
  120_000,
);
