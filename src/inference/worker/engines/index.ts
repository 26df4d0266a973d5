import type { EngineLoader } from '../engine.ts';

/** The engines by artefact format. `threads`: how many one run computes with. */
export function engines(threads: number): ReadonlyMap<string, EngineLoader> {
  return new Map([['onnx', async () => (await import('./onnx.ts')).onnxEngine(threads)]]);
}
