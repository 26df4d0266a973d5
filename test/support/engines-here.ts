import type { EngineLoader, Engines } from '../../src/inference/worker/engine.ts';

/** Engines, by artefact format, on the thread that has the worker. */
export function enginesHere(loaders: Readonly<Record<string, EngineLoader>>): Engines {
  return {
    loaders: new Map(Object.entries(loaders)),
    isBusy: false,
    heapBytes: async () => 0,
    settled: async () => {},
    close: async () => {},
  };
}
