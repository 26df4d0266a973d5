import type { ModelFormat } from '../../variant.ts';
import type { EngineLoader } from '../engine.ts';
import type { TensorFlowFormat } from './tensorflow/engine.ts';
import type { TensorFlowRuntime } from './tensorflow/runtime.ts';

/** The engines by artefact format. `threads`: how many one run computes with. */
export function engines(threads: number): ReadonlyMap<string, EngineLoader> {
  let runtime: Promise<TensorFlowRuntime> | undefined;
  const tensorFlow = (format: TensorFlowFormat): [ModelFormat, EngineLoader] => [
    format,
    async () => {
      const { tensorFlowEngine } = await import('./tensorflow/engine.ts');
      runtime ??= import('./tensorflow/runtime.ts').then(({ startTensorFlow }) => startTensorFlow(threads));
      return tensorFlowEngine(format, await runtime);
    },
  ];
  return new Map<string, EngineLoader>([
    ['onnx', async () => (await import('./onnx.ts')).onnxEngine(threads)],
    tensorFlow('saved-model'),
    tensorFlow('tfjs-graph'),
    tensorFlow('tfjs-layers'),
  ]);
}
