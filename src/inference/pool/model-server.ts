import type { WorkerMemory } from '../oip/worker-memory.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import type { Patience } from './patience.ts';
import type { BatchNotes, BatchOutput } from './worker.ts';

/**
 * A server of models that somebody else runs, in whatever protocol: what a remote worker needs of it. Nothing here is
 * retried: that is the worker's business. Every call throws WorkerLostError where no answer came, WorkerFaultError for an
 * answer that breaks the protocol, and the signal's reason once it is aborted.
 */
export interface ModelServer {
  /** Settles where it takes requests. Throws, with the reason to be told, where it does not: OipError, too, for a plain no. */
  requireReady(signal: AbortSignal): Promise<void>;
  /**
   * Settles when the server holds the variant: found there under one of its names, or brought to it where the protocol
   * allows that. `patience.renew()` for what takes long and goes on. `onlyIfRoom`: nothing is to be unloaded for it.
   *
   * @throws OipError where it does not hold it and cannot, or holds something else under its name
   */
  open(variant: Variant, patience: Patience, onlyIfRoom: boolean): Promise<OpenVariant>;
  /** Whether it takes a `Schedule` with a batch. Servers of others do not. */
  takesSchedules?(signal: AbortSignal): Promise<boolean>;
  /** What its memory holds; null where it does not tell. Servers of others do not. */
  memory?(signal: AbortSignal): Promise<WorkerMemory | null>;
  /** Ends every connection. */
  close(): Promise<void>;
}

export interface OpenVariant {
  /** Keys of variants that were unloaded for it, as far as the server tells. */
  readonly unloaded?: readonly string[];
  /**
   * `pixels`: `uint8 [N, height, width, 3]`. Whether the answer's tensors are the variant's is checked by the caller.
   * `notes` go with the request where the protocol has a place for them.
   *
   * @throws OipError where the server answered an error
   */
  infer(pixels: Tensor, signal: AbortSignal, notes?: BatchNotes): Promise<BatchOutput>;
  /** Whether the server still holds it. One that restarted, or needed the room, has lost it, which only its errors show. */
  isHeld(signal: AbortSignal): Promise<boolean>;
}
