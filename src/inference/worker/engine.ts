import type { Tensor, TensorMetadata } from '../tensor.ts';

/** What runs artefacts of one format. */
export interface Engine {
  /** The `platform` of the models' metadata, e.g. `onnxruntime_onnx`. */
  readonly platform: string;
  /**
   * Throws an Error in the engine's words where the artefact is no model that it can run. `artifact` is the engine's from then
   * on.
   */
  load(artifact: Uint8Array, files: StoredFiles): Promise<LoadedModel>;
}

/** The files that an artefact points to, if it does; they stay as they are for as long as the model is loaded. */
export interface StoredFiles {
  /** Each lies at `<first 2 digits>/<hash>` below it. */
  readonly folder: string;
  /** SHA-256 of those that were held against their hashes. */
  readonly hashes: readonly string[];
}

export interface LoadedModel {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  /** What computes, e.g. `cpu` or `cuda:0`; where nodes may run elsewhere, what its first run has shown. */
  readonly device: string;
  /** What its first run has shown that an operator should know, a sentence each. */
  readonly remarks?: readonly string[];
  /**
   * Runs once. `inputs` fit the metadata; `outputs` names those wanted, all of them known. One run at a time: the caller
   * sees to it. The tensors may share the engine's memory.
   */
  run(inputs: readonly Tensor[], outputs: readonly string[]): Promise<Tensor[]>;
  /** Frees the model; no run may be under way. */
  dispose(): Promise<void>;
}

/** An engine by an artefact's format. Imported when first asked for: an idle worker carries none. */
export type EngineLoader = () => Promise<Engine>;

export interface Engines {
  /** By artefact format. */
  readonly loaders: ReadonlyMap<string, EngineLoader>;
  /** Whether they are at work. The process cannot exit then: ONNX Runtime aborts it, which looks like a crash. */
  readonly isBusy: boolean;
  /** What JavaScript takes for them on another thread than this, bytes: its heap, and the buffers that belong to it. */
  heapBytes(): Promise<number>;
  /** Settles when they are done with what they were asked before. */
  settled(): Promise<void>;
  /** Once they are done with what they were asked. They may be asked nothing more. */
  close(): Promise<void>;
}
