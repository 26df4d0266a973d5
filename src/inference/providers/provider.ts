/** Execution providers of ONNX Runtime: what it computes with. */
export type Provider = 'cpu' | 'webgpu' | 'cuda' | 'tensorrt';

/** What a worker computes on. */
export interface Compute {
  /** The first that can takes a node of a graph; nodes that none can are the CPU's, named or not. */
  readonly providers: readonly Provider[];
  /** Which of the GPUs that CUDA shows this process; `cpu` and `webgpu` know none. */
  readonly deviceId: number;
}

export const onCpu: Compute = { providers: ['cpu'], deviceId: 0 };

export function isNvidia(provider: Provider): boolean {
  return provider === 'cuda' || provider === 'tensorrt';
}

/** As receipts and metrics name it: `cpu`, `webgpu`, `cuda:0`, `tensorrt:1`. */
export function deviceName(provider: Provider, deviceId: number): string {
  return isNvidia(provider) ? `${provider}:${deviceId}` : provider;
}

/** Those that a node can come to: the CPU takes every one, so that none comes to what stands after it. */
export function reachable(asked: readonly Provider[]): readonly Provider[] {
  const cpu = asked.indexOf('cpu');
  return cpu === -1 ? asked : asked.slice(0, cpu + 1);
}
