import { move } from 'piscina';
import { type FaultReason, WorkerFaultError } from '../oip/errors.ts';
import type { Preprocessing } from '../preprocessing.ts';
import type { Tensor } from '../tensor.ts';
import type { DeclaredTensor } from './declared-model.ts';
import type { FedType } from './input-feed.ts';
import { preparePixels } from './prepare-pixels.ts';
import * as grpc from './tensorflow-serving/predict-messages.ts';
import * as rest from './tensorflow-serving/rest-messages.ts';

export interface PreparingJob {
  readonly pixels: Uint8Array;
  readonly preparation: Preprocessing;
  readonly datatype: FedType;
}

export interface WritingJob {
  readonly signature: string;
  readonly tensor: Tensor;
}

export interface ReadingJob {
  readonly body: Uint8Array;
  readonly wanted: readonly DeclaredTensor[];
}

/** What comes back of reading an answer. A WorkerFaultError would come back as a plain Error: what it says goes by itself. */
export type ReadAnswer =
  | { readonly tensors: Tensor[] }
  | { readonly fault: { readonly reason: FaultReason; readonly message: string } };

/** As `preparePixels`; its bytes go back without a copy. */
export function prepare({ pixels, preparation, datatype }: PreparingJob): unknown {
  return move(preparePixels(pixels, preparation, datatype));
}

export function readPrediction({ body, wanted }: ReadingJob): ReadAnswer {
  return answerOf(() => grpc.readPrediction(body, wanted));
}

/** As the function of that name; its bytes go back without a copy. */
export function writeInstances({ signature, tensor }: WritingJob): unknown {
  return move(rest.writeInstances(signature, tensor));
}

export function readPredictions({ body, wanted }: ReadingJob): ReadAnswer {
  return answerOf(() => rest.readPredictions(body, wanted));
}

function answerOf(read: () => Tensor[]): ReadAnswer {
  try {
    return { tensors: read() };
  } catch (error) {
    if (error instanceof WorkerFaultError) return { fault: { reason: error.reason, message: error.message } };
    throw error;
  }
}
