import { expect, it } from 'vitest';
import type { Provider } from '../../../src/inference/providers/provider.ts';
import { showOneGpu } from '../../../src/inference/providers/show-one-gpu.ts';

it.each<[string, Provider[], number, string | undefined, string]>([
  ['the GPU of its number', ['cuda'], 1, undefined, '1'],
  ['of those that are visible, the one at its place', ['tensorrt', 'cuda'], 1, '3, 5,7', '5'],
  ['a GPU named by its UUID', ['cuda'], 0, 'GPU-8932f937', 'GPU-8932f937'],
  ['none where the CPU computes', ['cpu'], 0, undefined, '-1'],
  ['none where WebGPU computes, which asks no CUDA', ['webgpu'], 0, '0,1', '-1'],
])('a worker is shown %s', (_, providers, deviceId, visible, shown) => {
  const environment: NodeJS.ProcessEnv = visible === undefined ? {} : { CUDA_VISIBLE_DEVICES: visible };
  showOneGpu({ providers, deviceId }, environment);
  expect(environment).toEqual({ CUDA_VISIBLE_DEVICES: shown, CUDA_DEVICE_ORDER: 'PCI_BUS_ID' });
});
