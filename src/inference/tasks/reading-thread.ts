import type { Size } from '../images/geometry.ts';
import { ImageError, type ImageErrorCode } from '../images/image-error.ts';
import type { Tensor } from '../tensor.ts';
import { type Readings, type Results, readOutput, type ServedTask } from './read-output.ts';
import { maskPng } from './segment/mask-png.ts';

/** One image's outputs and how to read them, as they go to a thread. */
export interface ReadingJob<T extends ServedTask = ServedTask> {
  readonly task: T;
  readonly tensors: readonly Tensor[];
  readonly reading: Readings[T];
}

/** What comes back. An ImageError would come back as a plain Error: its code goes by itself. */
export type ReadingOutcome<T extends ServedTask = ServedTask> =
  | { readonly result: Results[T]; readonly ms: number }
  | { readonly code: ImageErrorCode; readonly message: string };

export function read({ task, tensors, reading }: ReadingJob): ReadingOutcome {
  const from = performance.now();
  try {
    return { result: readOutput(task, tensors, reading), ms: performance.now() - from };
  } catch (error) {
    if (error instanceof ImageError) return { code: error.code, message: error.message };
    throw error;
  }
}

/** Base64 of the PNG. */
export function drawMask({ rle, size }: { readonly rle: string; readonly size: Size }): string {
  return Buffer.from(maskPng(rle, size)).toString('base64');
}
