import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import type { BatchOutput } from './worker.ts';

/** A server of models that somebody else runs, in whatever protocol: what a remote worker needs of it. */
export interface ModelServer {
  /** null: it takes requests. */
  whyNotReady(signal: AbortSignal): Promise<string | null>;
  /**
   * Settles when the server holds the variant: found there under one of its names, or brought to it where the protocol
   * allows that.
   *
   * @throws OipError where it does not hold it and cannot, or holds something else under its name; WorkerLostError where it
   *   went away
   */
  open(variant: Variant, signal: AbortSignal): Promise<OpenVariant>;
  /** Ends every connection. */
  close(): Promise<void>;
}

export interface OpenVariant {
  /**
   * `pixels`: `uint8 [N, height, width, 3]`. Runs once; nothing is retried.
   *
   * @throws OipError where the server answered an error or what the variant cannot have answered; WorkerLostError where no
   *   answer came
   */
  infer(pixels: Tensor, signal: AbortSignal): Promise<BatchOutput>;
}
