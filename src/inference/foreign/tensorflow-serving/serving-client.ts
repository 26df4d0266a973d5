import type { Tensor } from '../../tensor.ts';
import type { DeclaredTensor } from '../declared-model.ts';

/** No model's name: a server that says that there is none of it answers. */
export const NOBODY = 'fovea-asks-whether-you-are-there';

/** Of an answer that carries no tensors, at most. */
export const MAX_DESCRIPTION_BYTES = 2 ** 20;

/** A version of a model, as TensorFlow Serving knows it. */
export interface ServedVersion {
  readonly name: string;
  readonly version: number;
}

/** A function of a SavedModel's. */
export interface Signature {
  readonly inputs: readonly DeclaredTensor[];
  readonly outputs: readonly DeclaredTensor[];
}

/** What a prediction is asked for. */
export interface Question {
  readonly signature: string;
  readonly input: Tensor;
  readonly outputs: readonly DeclaredTensor[];
}

/**
 * TensorFlow Serving, by gRPC or by its REST interface. Every call throws OipError where the server answered an error,
 * WorkerFaultError for an answer that its interface does not have, WorkerLostError where no answer came, and the signal's
 * reason once it is aborted.
 */
export interface ServingClient {
  /** Of pictures that are best sent at once. */
  readonly maxBytes: number;
  /** Settles where the server takes requests. */
  requireReady(signal: AbortSignal): Promise<void>;
  /** Whether the version can be asked; false while it is loaded or unloaded. Throws OipError 404 where there is none. */
  isAvailable(model: ServedVersion, signal: AbortSignal): Promise<boolean>;
  /** By their names. */
  signatures(model: ServedVersion, signal: AbortSignal): Promise<ReadonlyMap<string, Signature>>;
  predict(model: ServedVersion, question: Question, signal: AbortSignal): Promise<Tensor[]>;
  /** Calls in flight reject with WorkerLostError. */
  close(): Promise<void>;
}
