import type { Parameters } from '../oip/codec.ts';

/** What a `fovea worker` tells of the run that a request was a part of. */
export interface ToldRun {
  /** Milliseconds that the request waited before its turn; 0 where that is not told. */
  readonly queueMs: number;
  /** Milliseconds of the engine, for the whole batch; null: not told. */
  readonly computeMs: number | null;
  /** Images of the batch; those of the request where that is not told. */
  readonly batchSize: number;
  readonly device: string;
}

/** No batch has more. */
const MOST_IMAGES = 1_024;

/**
 * Reads an answer's parameters. Costs are learned from them, and clients told: what cannot be is not believed.
 *
 * @param images of the request
 * @param most images of a batch there
 * @param wholeMs there and back
 */
export function toldRun(
  { compute_ms, queue_ms, batch_size, device }: Parameters,
  { images, most, wholeMs }: { images: number; most: number; wholeMs: number },
): ToldRun {
  const computeMs = within(compute_ms, 0, wholeMs);
  return {
    queueMs: within(queue_ms, 0, wholeMs - (computeMs ?? wholeMs)) ?? 0,
    computeMs,
    batchSize: Math.floor(within(batch_size, images, Math.min(most, MOST_IMAGES)) ?? images),
    device: typeof device === 'string' ? device.slice(0, 64) : 'remote',
  };
}

function within(told: unknown, least: number, most: number): number | null {
  return typeof told === 'number' && told >= least && told <= most ? told : null;
}
