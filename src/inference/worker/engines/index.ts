import type { Logger } from '../../../lib/logger.ts';
import type { ModelFormat } from '../../variant.ts';
import type { EngineLoader } from '../engine.ts';
import type { ComputeSettings } from './onnx/session.ts';
import type { TensorFlowFormat } from './tensorflow/engine.ts';
import type { TensorFlowChoice, TensorFlowRuntime } from './tensorflow/runtime.ts';

export interface EngineOptions extends ComputeSettings {
  readonly tensorFlow: TensorFlowChoice;
}

export function engines(
  { threads, compute, tensorFlow }: EngineOptions,
  logger: Logger,
): Readonly<Record<ModelFormat, EngineLoader>> {
  let runtime: Promise<TensorFlowRuntime> | undefined;
  const engineOf = (format: TensorFlowFormat) => async () => {
    const { tensorFlowEngine } = await import('./tensorflow/engine.ts');
    runtime ??= import('./tensorflow/runtime.ts').then(({ startTensorFlow }) =>
      startTensorFlow(tensorFlow, { threads, compute }),
    );
    const { device, obstacles } = await runtime;
    logger.info({ device, obstacles }, 'TensorFlow computes');
    return tensorFlowEngine(format, await runtime);
  };
  return {
    onnx: async () => (await import('./onnx.ts')).onnxEngine({ threads, compute }),
    'saved-model': engineOf('saved-model'),
    'tfjs-graph': engineOf('tfjs-graph'),
    'tfjs-layers': engineOf('tfjs-layers'),
  };
}
