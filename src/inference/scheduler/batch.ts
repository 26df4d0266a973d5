import type { Span } from '../../lib/tracing/span.ts';
import { ImageError } from '../images/image-error.ts';
import type { ChosenVariant } from '../model-selection.ts';
import type { Priority } from '../request.ts';
import { bytesPerElement, elementCount, type Tensor } from '../tensor.ts';
import type { Lane } from './lane.ts';

/** What the images of one request have in common. */
export interface Ticket {
  readonly tenant: string;
  readonly weight: number;
  /** The name of the tenant's plan. */
  readonly plan: string;
  readonly priority: Priority;
  /** On the clock of `Clock.elapsed`. */
  readonly deadline: number;
  /** Aborted when nobody waits for the answer any more: what is queued leaves the queue, with the signal's reason. */
  readonly abandoned: AbortSignal;
  /** Of the request. */
  readonly span: Span;
  /** Set with the first batch that carries one of its images. */
  dispatched: boolean;
}

/** What a batch answered about one image. */
export interface ImageOutput {
  /** The image's slice of what the batch answered, shape without the batch axis. */
  readonly outputs: readonly Tensor[];
  readonly device: string;
  /** Images that the engine ran together, those of others included. */
  readonly batchSize: number;
  /** Here, and at the worker as far as that tells. */
  readonly queueMs: number;
  /** Of the whole batch. */
  readonly inferenceMs: number;
  /** For an answer that cannot be read: runs the image on another worker; null: no other is ready. */
  elsewhere(): Promise<ImageOutput> | null;
  /** What came of reading it: null, or why it could not be read where another worker's answer could. */
  judged(fault: string | null): void;
}

export interface QueuedImage {
  readonly chosen: ChosenVariant;
  readonly ticket: Ticket;
  readonly pixels: Uint8Array;
  /** On the clock of `Clock.elapsed`. */
  readonly queuedAt: number;
  /** The span of its wait for the first batch that carries it. */
  readonly waiting: Span;
  /** The workers that have it now: two where the first is silent. */
  readonly carriers: Set<Lane>;
  /** Where it was tried in vain: it is run on another worker where one is ready. Images of one batch have these in common. */
  readonly avoided: Set<Lane>;
  /** The worker that said that the model failed on it alone, and why: another is asked before that is believed. */
  failedOn: { readonly lane: Lane; readonly reason: string } | null;
  /** Workers that went away under it, and of these so many while they ran nothing else. */
  lost: number;
  lostAlone: number;
  /** The number of the first that had gone away lately when the first of those did. */
  firstDeath: number;
  /** Workers that had no time for it. */
  refused: number;
  /** It was in a batch that failed: it is run in none with others again. */
  alone: boolean;
  /** It has its answer, or an error. */
  settled: boolean;
  isAnswered: boolean;
  readonly resolve: (output: ImageOutput) => void;
  readonly reject: (error: Error) => void;
}

/** What is known of an image that nobody has run. */
export const untried = {
  ...{ failedOn: null, lost: 0, lostAlone: 0, firstDeath: 0, refused: 0 },
  ...{ settled: false, isAnswered: false },
} satisfies Partial<QueuedImage>;

/** One image's part of what a batch answered. Throws ImageError where the answer has not one for each image. */
export function sliceOfBatch(
  { name, datatype, shape, data }: Tensor,
  position: number,
  batchSize: number,
): Tensor {
  if (shape[0] !== batchSize) {
    throw new ImageError(
      'INFERENCE_FAILED',
      `the model's output ${name} has shape [${shape.join(', ')}] for ${batchSize} images`,
    );
  }
  const rest = shape.slice(1);
  const bytes = elementCount(rest) * bytesPerElement[datatype];
  return { name, datatype, shape: rest, data: data.subarray(position * bytes, (position + 1) * bytes) };
}
