import { type Compute, isNvidia } from './provider.ts';

/**
 * Has CUDA show this process the one GPU that it computes on, as its device 0, or none where none was asked for: TensorFlow
 * takes the first that it sees, and memory of every other. For the start of a process, before any library asks CUDA.
 */
export function showOneGpu({ providers, deviceId }: Compute, environment: NodeJS.ProcessEnv): void {
  // The order in which nvidia-smi lists them, not the fastest first.
  environment.CUDA_DEVICE_ORDER ??= 'PCI_BUS_ID';
  const visible = environment.CUDA_VISIBLE_DEVICES?.split(',')[deviceId]?.trim();
  environment.CUDA_VISIBLE_DEVICES = providers.some(isNvidia) ? (visible ?? String(deviceId)) : '-1';
}
