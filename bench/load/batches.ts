import { withReceipt } from './stages.ts';
import type { Sample } from './stream.ts';

/** A batch that a worker ran, as the receipts of its images tell. */
export interface Batch {
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
  /** Images in it, whether we hold their receipts or not. */
  readonly images: number;
  /** Of those whose receipts we hold. */
  readonly byTenant: Readonly<Record<string, number>>;
  /** For how long it took its worker up, milliseconds: since the batch before ended. NaN: it is the first. */
  readonly deviceMs: number;
}

/**
 * The batches of one worker that always had something waiting, in order, from requests about one picture each. All images of a
 * batch have its inference time, to the last digit, so that time is its name. As the worker never waited, a batch took it up
 * from the end of the one before: with its way there and back, which the inference time does not have.
 */
export function batchesOf(samples: Readonly<Record<string, readonly Sample[]>>): Batch[] {
  const found = new Map<number, { endedAt: number; images: number; byTenant: Record<string, number> }>();
  for (const [tenant, some] of Object.entries(samples)) {
    for (const { receipt } of withReceipt(some)) {
      const { startedAt, totalMs, inferenceMs, batchSize } = receipt;
      const batch = found.get(inferenceMs) ?? { endedAt: Infinity, images: batchSize, byTenant: {} };
      // Its images are done at once; what came later waited for something else.
      batch.endedAt = Math.min(batch.endedAt, startedAt + totalMs);
      batch.byTenant[tenant] = (batch.byTenant[tenant] ?? 0) + 1;
      found.set(inferenceMs, batch);
    }
  }
  const inOrder = [...found.values()].sort((a, b) => a.endedAt - b.endedAt);
  return inOrder.map((batch, index) => ({
    ...batch,
    deviceMs: batch.endedAt - (inOrder[index - 1]?.endedAt ?? Number.NaN),
  }));
}
