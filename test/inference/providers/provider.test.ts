import { expect, it } from 'vitest';
import { deviceName, reachable } from '../../../src/inference/providers/provider.ts';

it('names a GPU by its number where CUDA counts them', () => {
  expect([deviceName('cpu', 0), deviceName('webgpu', 0)]).toEqual(['cpu', 'webgpu']);
  expect([deviceName('cuda', 1), deviceName('tensorrt', 0)]).toEqual(['cuda:1', 'tensorrt:0']);
});

it('lets no node come to what stands after the CPU, which takes every one', () => {
  expect(reachable(['tensorrt', 'cuda'])).toEqual(['tensorrt', 'cuda']);
  expect(reachable(['webgpu', 'cpu'])).toEqual(['webgpu', 'cpu']);
  expect(reachable(['cpu', 'cuda'])).toEqual(['cpu']);
});
