import type { Logger } from '../../../lib/logger.ts';
import type { ModelFormat } from '../../variant.ts';
import type { EngineLoader } from '../engine.ts';
import type { ComputeSettings } from './onnx/session.ts';
import type { TensorFlowFormat } from './tensorflow/engine.ts';
import type { TensorFlowChoice, TensorFlowRuntime } from './tensorflow/runtime.ts';

export interface EngineOptions extends ComputeSettings {
  readonly tensorFlow: TensorFlowChoice;
}

/** The engines by artefact format. */
export function engines(
  { threads, compute, tensorFlow }: EngineOptions,
  logger: Logger,
): ReadonlyMap<string, EngineLoader> {
  let runtime: Promise<TensorFlowRuntime> | undefined;
  const engineOf = (format: TensorFlowFormat): [ModelFormat, EngineLoader] => [
    format,
    async () => {
      const { tensorFlowEngine } = await import('./tensorflow/engine.ts');
      runtime ??= import('./tensorflow/runtime.ts').then(({ startTensorFlow }) =>
        startTensorFlow(tensorFlow, { threads, compute }),
      );
      const { device, obstacles } = await runtime;
      logger.info({ device, obstacles }, 'TensorFlow computes');
      return tensorFlowEngine(format, await runtime);
    },
  ];
  return new Map<string, EngineLoader>([
    ['onnx', async () => (await import('./onnx.ts')).onnxEngine({ threads, compute })],
    engineOf('saved-model'),
    engineOf('tfjs-graph'),
    engineOf('tfjs-layers'),
  ]);
}
