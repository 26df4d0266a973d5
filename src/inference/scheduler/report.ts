import type { ChosenVariant } from '../model-selection.ts';
import type { QueuedImage } from './batch.ts';

/** A batch that was answered. */
export interface BatchRun {
  readonly chosen: ChosenVariant;
  readonly worker: string;
  readonly device: string;
  readonly images: number;
  /** Milliseconds of the engine alone. */
  readonly engineMs: number;
}

/** What waits for a worker. */
export interface Queue {
  readonly images: number;
  readonly oldestMs: number;
}

/** By the name of the plan; nothing of plans with none. `now`: on the clock of `Clock.elapsed`. */
export function queuesOf(images: Iterable<QueuedImage>, now: number): Map<string, Queue> {
  const queues = new Map<string, Queue>();
  for (const { ticket, queuedAt } of images) {
    const known = queues.get(ticket.plan) ?? { images: 0, oldestMs: 0 };
    queues.set(ticket.plan, {
      images: known.images + 1,
      oldestMs: Math.max(known.oldestMs, now - queuedAt),
    });
  }
  return queues;
}
