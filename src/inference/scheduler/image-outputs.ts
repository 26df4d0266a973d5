import { WorkerFaultError } from '../oip/errors.ts';
import type { BatchOutput } from '../pool/worker.ts';
import { type ImageOutput, type QueuedImage, sliceOfBatch } from './batch.ts';
import type { Flight, Lane } from './lane.ts';

/**
 * What a batch answered, image by image. `elsewhere`: runs an image on another worker, null where none is ready. Throws
 * ImageError where the answer has not one for each image.
 */
export function outputsOf(
  { outputs, queueMs, computeMs, batchSize, device }: BatchOutput,
  { images, sentAt }: Flight,
  { worker }: Lane,
  elsewhere: (image: QueuedImage) => Promise<ImageOutput> | null,
): ImageOutput[] {
  return images.map((image, position) => ({
    outputs: outputs.map((output) => sliceOfBatch(output, position, images.length)),
    device,
    batchSize,
    queueMs: sentAt - image.queuedAt + queueMs,
    inferenceMs: computeMs,
    elsewhere: () => elsewhere(image),
    judged: (fault) => worker.judged(fault === null ? null : new WorkerFaultError('unreadable', fault)),
  }));
}
