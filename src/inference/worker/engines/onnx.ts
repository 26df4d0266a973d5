import type { Engine } from '../engine.ts';
import { loadAccelerated } from './onnx/accelerated.ts';
import { loadOnCpu } from './onnx/model.ts';
import type { ComputeSettings } from './onnx/session.ts';

export function onnxEngine(settings: ComputeSettings): Engine {
  const load = settings.compute.providers[0] === 'cpu' ? loadOnCpu : loadAccelerated;
  return {
    platform: 'onnxruntime_onnx',
    load: (artifact, { folder }) => load({ artifact, folder }, settings),
  };
}
